/**
 * What `npm start` built: `<cache>/current/image-<name>.json` names the image new workspaces get. hostd only reads; it
 * builds nothing.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { AtollError } from "@atoll/protocol/atoll-error";
import { z } from "zod";

const IMAGE_NAME = /^[a-z0-9-]{1,32}$/;

/** The part of an image's manifest that hostd needs; the builder may write more. */
export const builtImage = z.object({
  name: z.string().regex(IMAGE_NAME),
  key: z.string().regex(/^[0-9a-f]{16,64}$/),
  basePath: z.string(),
  agentPath: z.string(),
  kernelPath: z.string(),
  initramfsPath: z.string(),
  manifest: z.object({
    kernelArguments: z.array(z.string()),
    packageSources: z.array(z.string().min(1).max(253)),
  }),
});
export type BuiltImage = z.infer<typeof builtImage>;

/** QEMU's root, as built. */
export const builtVmm = z.object({
  root: z.string(),
  qemuPath: z.string(),
  qemuImgCommand: z.array(z.string()).min(1),
  version: z.string(),
  key: z.string(),
});
export type BuiltVmm = z.infer<typeof builtVmm>;

/** @throws AtollError image.unknown */
export async function readBuiltImage(cacheDirectory: string, name: string): Promise<BuiltImage> {
  if (!IMAGE_NAME.test(name)) throw new AtollError("image.unknown");
  return builtImage.parse(await readJson(join(cacheDirectory, "current", `image-${name}.json`)));
}

export async function readBuiltVmm(cacheDirectory: string): Promise<BuiltVmm> {
  return builtVmm.parse(await readJson(join(cacheDirectory, "current", "vmm.json")));
}

async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, "utf8"));
  } catch (cause) {
    throw new AtollError("image.unknown", `${path} cannot be read; npm start builds it`, { cause });
  }
}
