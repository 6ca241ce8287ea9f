import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { build } from "esbuild";
import { provideArtifact } from "./artifact-store.ts";
import { type BuildOptions, uuidFromKey } from "./base-image.ts";
import { contentKey } from "./content-key.ts";
import type { NpmPackagePin } from "./npm-package.ts";
import { unpackNpmPackage } from "./npm-package.ts";
import { runCommand } from "./run-command.ts";
import { takeSnapshot } from "./take-snapshot.ts";

const AGENT_ENTRY = join(import.meta.dirname, "../../packages/agent/src/main.ts");
/** Where the guest mounts the layer's `agent` folder. */
const AGENT_FOLDER = "/opt/atoll/agent";
/** Raise when the code below changes what a layer holds. */
const BUILD_GENERATION = 1;

export interface AgentLayerOptions extends BuildOptions {
  /** Packages that cannot be bundled because they hold native code. */
  packages: readonly NpmPackagePin[];
  /** What the agent runs on: a snapshot fits no other. */
  node: NpmPackagePin;
  /** Another program to start in place of the agent, as a plain script; tests use it. */
  entry?: string | undefined;
}

/**
 * Small read-only image mounted at /opt/atoll: the agent and its native packages. Seconds when it is new. The agent is
 * a startup snapshot: its modules were evaluated here, which under emulation took most of a start.
 */
export async function buildAgentLayer(options: AgentLayerOptions): Promise<{ path: string; key: string }> {
  const { packages, node, signal, entry } = options;
  const script = await bundle(entry ?? AGENT_ENTRY, packages, entry === undefined ? "cjs" : "esm");
  const values = [BUILD_GENERATION, packages, script, entry === undefined ? node : undefined];
  const key = await contentKey({ values, paths: [] });
  const folder = await provideArtifact({
    parent: join(options.cacheDir, "images/agent"),
    key,
    signal,
    onMissing: () => options.onProgress?.(`agent: packing ${key}`),
    build: async ({ result, scratch }) => {
      const agent = join(scratch, "layer/agent");
      await mkdir(agent, { recursive: true });
      if (entry === undefined) {
        await unpackNpmPackage(node, join(scratch, "node"), { scratch, signal });
        await takeSnapshot(join(scratch, "node/bin/node"), script, join(agent, "main.blob"), {
          scratch,
          signal,
        });
      } else await writeFile(join(agent, "main.mjs"), script);
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

async function bundle(
  entry: string,
  packages: readonly NpmPackagePin[],
  format: "cjs" | "esm",
): Promise<string> {
  const output = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    platform: "node",
    format,
    target: "node22",
    external: packages.map(({ name }) => name),
    // Shorter to parse under emulation; names stay, so that a stack trace still tells where.
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: "none",
    ...(format === "cjs"
      ? { define: { "import.meta.url": JSON.stringify(`file://${AGENT_FOLDER}/main.cjs`) } }
      : // Bundled CommonJS packages call `require`, which a module does not have.
        {
          banner: {
            js: 'import{createRequire as __createRequire}from"node:module";const require=__createRequire(import.meta.url);',
          },
        }),
  });
  const [file] = output.outputFiles;
  if (file === undefined) throw new Error(`esbuild made nothing of ${entry}`);
  return file.text;
}
