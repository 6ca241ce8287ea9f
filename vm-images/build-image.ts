import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { buildAgentLayer } from "./build/agent-layer.ts";
import { type BuildOptions, buildBase } from "./build/base-image.ts";
import { imageDeclaration } from "./build/image-declaration.ts";
import type { GuestImage } from "./build/image-manifest.ts";
import { writePointer } from "./build/write-pointer.ts";

export interface BuildImageOptions extends BuildOptions {
  /** A folder of `vm-images/` with an `image.json`. */
  name: string;
  /** Another program to start in place of the agent, for tests; such an image never becomes the current one. */
  agentEntry?: string;
}

/**
 * Builds what is missing of an image, makes it the current one (`<cache>/current/image-<name>.json`) and returns where
 * it lies. Needs root and the Debian packages listed in this folder.
 */
export async function buildImage(options: BuildImageOptions): Promise<GuestImage> {
  if (process.arch !== "x64")
    throw new Error(`guest images are built for x64 only, this machine is ${process.arch}`);
  const text = await readFile(join(import.meta.dirname, options.name, "image.json"), "utf8");
  const declaration = imageDeclaration.parse(JSON.parse(text));
  const base = await buildBase(declaration, options);
  const agent = await buildAgentLayer({
    cacheDir: options.cacheDir,
    onProgress: options.onProgress,
    signal: options.signal,
    packages: declaration.agentPackages,
    node: declaration.agentNode,
    entry: options.agentEntry,
  });
  const { manifest } = base;
  const image: GuestImage = {
    name: declaration.name,
    key: createHash("sha256").update(`${manifest.key} ${agent.key}`).digest("hex").slice(0, 32),
    basePath: join(base.path, manifest.base.file),
    agentPath: agent.path,
    kernelPath: join(base.path, manifest.kernel.file),
    emulatedKernelPath: join(base.path, manifest.emulatedKernel.file),
    initramfsPath: join(base.path, manifest.initramfs.file),
    manifest,
  };
  if (options.agentEntry === undefined) {
    // A workspace keeps the image of its birth day: its disk and its saved memory fit no other.
    await writePointer(join(options.cacheDir, "images/by-key", `${image.key}.json`), image);
    await writePointer(join(options.cacheDir, "current", `image-${declaration.name}.json`), image);
  }
  return image;
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      name: { type: "string", default: "base" },
      cache: { type: "string" },
      "agent-entry": { type: "string" },
    },
  });
  if (values.cache === undefined)
    throw new Error("usage: build-image.ts --cache <folder> [--name base] [--agent-entry <file>]");
  const agentEntry = values["agent-entry"];
  const image = await buildImage({
    name: values.name,
    cacheDir: resolve(values.cache),
    onProgress: (line) => console.error(line),
    ...(agentEntry === undefined ? {} : { agentEntry }),
  });
  console.log(JSON.stringify(image, undefined, 2));
}
