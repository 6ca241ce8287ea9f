import { join } from "node:path";
import type { NextConfig } from "next";

const repositoryRoot = join(import.meta.dirname, "..", "..");

const config: NextConfig = {
  outputFileTracingRoot: repositoryRoot,
  turbopack: { root: repositoryRoot },
  transpilePackages: ["@atoll/base", "@atoll/db", "@atoll/protocol", "@atoll/receipt"],
  serverExternalPackages: ["pg", "@node-rs/argon2", "pino"],
  // `npm run typecheck` does it; who starts the product need not wait for it.
  typescript: { ignoreBuildErrors: true },
  // Neither browsers nor the server are given them; making them took nearly half of a build.
  experimental: { turbopackSourceMaps: false },
  poweredByHeader: false,
  reactStrictMode: true,
  devIndicators: false,
};

export default config;
