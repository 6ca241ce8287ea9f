/**
 * What `npm start` built: `<cache>/current/image-<name>.json` names the image new workspaces get, and
 * `<cache>/images/by-key/<key>.json` those that older disks were made with. hostd only reads; it builds nothing.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { AtollError } from "@atoll/protocol/atoll-error";
import type { Isolation } from "@atoll/protocol/workspace-status";
import { z } from "zod";
import type { ImageFiles } from "../hypervisor/hypervisor.ts";
import type { ImageSource } from "../machines/image-source.ts";

const IMAGE_NAME = /^[a-z0-9-]{1,32}$/;
const IMAGE_KEY = /^[0-9a-f]{16,64}$/;

/** The part of an image's manifest that hostd needs; the builder may write more. */
const builtImage = z.object({
  name: z.string().regex(IMAGE_NAME),
  key: z.string().regex(IMAGE_KEY),
  basePath: z.string(),
  agentPath: z.string(),
  kernelPath: z.string(),
  /** Older images have none. */
  emulatedKernelPath: z.string().optional(),
  initramfsPath: z.string(),
  manifest: z.object({
    kernelArguments: z.array(z.string()),
    emulatedKernelArguments: z.array(z.string()),
    packageSources: z.array(z.string().min(1).max(253)),
  }),
});
type BuiltImage = z.infer<typeof builtImage>;

/** QEMU's root, as built. */
const builtVmm = z.object({
  root: z.string(),
  qemuPath: z.string(),
  qemuImgCommand: z.array(z.string()).min(1),
  qemuCommand: z.tuple([z.string()], z.string()),
  version: z.string(),
  key: z.string(),
});
export type BuiltVmm = z.infer<typeof builtVmm>;

export class BuiltImages {
  readonly #cacheDirectory: string;
  readonly #current: ReadonlyMap<string, BuiltImage>;

  private constructor(cacheDirectory: string, current: BuiltImage[]) {
    this.#cacheDirectory = cacheDirectory;
    this.#current = new Map(current.map((image) => [image.name, image]));
  }

  /** @throws AtollError image.unknown when one of `names` was not built. */
  static async open(options: { cacheDirectory: string; names: string[] }): Promise<BuiltImages> {
    const path = (name: string) => join(options.cacheDirectory, "current", `image-${name}.json`);
    const images = options.names.map(async (name) => builtImage.parse(await readJson(path(name))));
    return new BuiltImages(options.cacheDirectory, await Promise.all(images));
  }

  /** @throws AtollError image.unknown */
  require(name: string): BuiltImage {
    const image = this.#current.get(name);
    if (image === undefined) throw new AtollError("image.unknown");
    return image;
  }

  /** The files of images as a machine on this host needs them. */
  filesFor(isolation: Isolation): ImageSource {
    return {
      currentKeys: new Set([...this.#current.values()].map(({ key }) => key)),
      byName: async (name) => toFiles(this.require(name), isolation),
      byKey: async (key) => toFiles(await this.#byKey(key), isolation),
    };
  }

  /** Hosts of the preset "package sources", lower case. Of the current image: its configuration is what a guest reads. */
  packageHosts(name: string): ReadonlySet<string> {
    const sources = this.#current.get(name)?.manifest.packageSources ?? [];
    return new Set(sources.map((host) => host.toLowerCase()));
  }

  async #byKey(key: string): Promise<BuiltImage> {
    const current = [...this.#current.values()].find((image) => image.key === key);
    if (current !== undefined) return current;
    if (!IMAGE_KEY.test(key)) throw new AtollError("image.unknown");
    return builtImage.parse(await readJson(join(this.#cacheDirectory, "images/by-key", `${key}.json`)));
  }
}

function toFiles(image: BuiltImage, isolation: Isolation): ImageFiles {
  const { kernelArguments, emulatedKernelArguments } = image.manifest;
  const isEmulated = isolation === "emulated";
  const extra = isEmulated ? emulatedKernelArguments : [];
  return {
    key: image.key,
    kernelPath: (isEmulated ? image.emulatedKernelPath : undefined) ?? image.kernelPath,
    initramfsPath: image.initramfsPath,
    layerPaths: [image.basePath, image.agentPath],
    kernelArguments: [...kernelArguments, ...extra].join(" "),
  };
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
