import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { build } from "esbuild";
import { provideArtifact } from "./artifact-store.ts";
import { type BuildOptions, uuidFromKey } from "./base-image.ts";
import { contentKey } from "./content-key.ts";
import type { NpmPackagePin } from "./npm-package.ts";
import { unpackNpmPackage } from "./npm-package.ts";
import { runCommand } from "./run-command.ts";

const AGENT_ENTRY = join(import.meta.dirname, "../../packages/agent/src/main.ts");

export interface AgentLayerOptions extends BuildOptions {
  /** Packages that cannot be bundled because they hold native code. */
  packages: readonly NpmPackagePin[];
  /** Another program to start in place of the agent; tests use it. */
  entry?: string | undefined;
}

/** Small read-only image mounted at /opt/atoll: the bundled agent and its native packages. Seconds when it is new. */
export async function buildAgentLayer(options: AgentLayerOptions): Promise<{ path: string; key: string }> {
  const { packages, signal } = options;
  const bundle = await bundleAgent(options.entry ?? AGENT_ENTRY, packages);
  const key = await contentKey({ values: [packages, bundle], paths: [] });
  const folder = await provideArtifact({
    parent: join(options.cacheDir, "images/agent"),
    key,
    signal,
    onMissing: () => options.onProgress?.(`agent: packing ${key}`),
    build: async ({ result, scratch }) => {
      const agent = join(scratch, "layer/agent");
      await mkdir(agent, { recursive: true });
      await writeFile(join(agent, "main.mjs"), bundle);
      for (const pin of packages) {
        await unpackNpmPackage(pin, join(agent, "node_modules", pin.name), { scratch, signal });
      }
      await runCommand(
        [
          "mkfs.erofs",
          "--quiet",
          "--all-root",
          "-T",
          "0",
          "-U",
          uuidFromKey(key),
          join(result, "agent.erofs"),
          join(scratch, "layer"),
        ],
        { signal },
      );
    },
  });
  return { path: join(folder, "agent.erofs"), key };
}

async function bundleAgent(entry: string, packages: readonly NpmPackagePin[]): Promise<string> {
  const output = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    platform: "node",
    format: "esm",
    target: "node22",
    external: packages.map(({ name }) => name),
    // Shorter to parse under emulation; names stay, so that a stack trace still tells where.
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: "none",
    // Bundled CommonJS packages call `require`, which a module does not have.
    banner: {
      js: 'import{createRequire as __createRequire}from"node:module";const require=__createRequire(import.meta.url);',
    },
  });
  const [file] = output.outputFiles;
  if (file === undefined) throw new Error(`esbuild made nothing of ${entry}`);
  return file.text;
}
