import { join } from "node:path";
import type { NextConfig } from "next";

const repositoryRoot = join(import.meta.dirname, "..", "..");

const config: NextConfig = {
  outputFileTracingRoot: repositoryRoot,
  turbopack: { root: repositoryRoot },
  transpilePackages: ["@atoll/base", "@atoll/db", "@atoll/protocol"],
  serverExternalPackages: ["pg", "@node-rs/argon2", "pino"],
  poweredByHeader: false,
  reactStrictMode: true,
  // Pages differ for every visitor and carry a nonce: nothing may be kept by a shared cache.
  devIndicators: false,
};

export default config;
