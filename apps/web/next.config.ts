import { join } from "node:path";
import type { NextConfig } from "next";

const repositoryRoot = join(import.meta.dirname, "..", "..");

const config: NextConfig = {
  outputFileTracingRoot: repositoryRoot,
  turbopack: { root: repositoryRoot },
  transpilePackages: ["@atoll/base", "@atoll/db", "@atoll/protocol", "@atoll/receipt"],
  serverExternalPackages: ["pg", "@node-rs/argon2", "pino"],
  // Tests are checked by `npm run typecheck`; a build needs the product only.
  typescript: { tsconfigPath: "tsconfig.build.json" },
  poweredByHeader: false,
  reactStrictMode: true,
  devIndicators: false,
};

export default config;
