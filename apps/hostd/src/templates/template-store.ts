/**
 * Templates: machines baked once to agent-ready and frozen, one per image, size and hypervisor. `<directory>/<id>/` holds
 * `disk.raw` (backing file of every clone's disk), `ram`, `state` and `manifest.json`, complete or absent: a bake works in
 * a folder beside it and is renamed when everything is durable. Nothing in a template is anyone's.
 */
import { createHash, randomBytes } from "node:crypto";
import { chmod, chown, readdir } from "node:fs/promises";
import { join } from "node:path";
import { fileOps } from "@atoll/durable/file-ops";
import { makeDirectory } from "@atoll/durable/make-directory";
import { replaceFile } from "@atoll/durable/replace-file";
import { syncDirectory } from "@atoll/durable/sync-directory";
import { syncFile } from "@atoll/durable/sync-file";
import { AtollError } from "@atoll/protocol/atoll-error";
import type { MachineSize } from "@atoll/protocol/plans";
import type { z } from "zod";
import { formatDisk } from "../disks/format-disk.ts";
import type { Hypervisor, ImageFiles, Machine, TemplateFiles } from "../hypervisor/hypervisor.ts";
import { readTemplate, templateFiles, templateManifest } from "./read-template.ts";

/** Raise when the way templates are made changes what is in them. */
const BAKE_GENERATION = 3;

/** Begins the name of what is not whole. */
export const STAGING = ".baking-";

export interface Template extends TemplateFiles {
  imageKey: string;
  fingerprint: string;
  size: MachineSize;
  diskPath: string;
  linkToken: string;
}

/**
 * Starts a launched machine and brings its guest to agent-ready and quiesced, its link closed. Answers the token that
 * the agent expects next.
 */
export type PrepareGuest = (
  machine: Machine,
  options: { signal: AbortSignal },
) => Promise<{ linkToken: string }>;

export interface TemplateStoreOptions {
  directory: string;
  /** Of this machine's data directories together, on the same file system: what one of them baked, the others link. */
  sharedDirectory?: string | undefined;
  hypervisor: Hypervisor;
  prepareGuest: PrepareGuest;
  /** Ends bakes that are under way. */
  signal: AbortSignal;
}

export class TemplateStore {
  readonly #options: TemplateStoreOptions;
  readonly #bakes = new Map<string, Promise<Template>>();
  readonly #known = new Map<string, Template>();

  constructor(options: TemplateStoreOptions) {
    this.#options = options;
  }

  /** The template of this image and size, baked now if there is none. Callers at the same time share one bake. */
  provide(image: ImageFiles, size: MachineSize): Promise<Template> {
    const templateId = this.idOf(image, size);
    let bake = this.#bakes.get(templateId);
    if (bake === undefined) {
      bake = this.#provide(templateId, image, size).finally(() => this.#bakes.delete(templateId));
      this.#bakes.set(templateId, bake);
    }
    return bake;
  }

  /** Also one of an older image or hypervisor: its disk is needed as long as a clone lives. */
  async find(templateId: string): Promise<Template | undefined> {
    const known = this.#known.get(templateId);
    if (known !== undefined) return known;
    const template = await readTemplate(this.#options.directory, templateId);
    if (template === undefined) return undefined;
    this.#known.set(templateId, template);
    return template;
  }

  idOf(image: ImageFiles, size: MachineSize): string {
    const { cpus, memoryMb, diskMb } = size;
    const facts = [
      ...[BAKE_GENERATION, image.key, image.kernelArguments, this.#options.hypervisor.fingerprint],
      ...[cpus, memoryMb, diskMb],
    ];
    return createHash("sha256").update(JSON.stringify(facts)).digest("hex").slice(0, 32);
  }

  /** Removes what interrupted bakes of an earlier life left. Call it before the first bake. */
  async sweep(): Promise<void> {
    const { directory } = this.#options;
    await makeDirectory(directory);
    for (const name of await readdir(directory)) {
      if (name.startsWith(STAGING)) await fileOps().remove(join(directory, name));
    }
  }

  async #provide(templateId: string, image: ImageFiles, size: MachineSize): Promise<Template> {
    const existing = await this.find(templateId);
    if (existing !== undefined) return existing;
    const { directory, sharedDirectory } = this.#options;
    try {
      const isShared =
        sharedDirectory !== undefined && (await linkTemplate(sharedDirectory, directory, templateId));
      if (!isShared) {
        await inStaging(directory, templateId, (staging) => this.#bake(staging, templateId, image, size));
        if (sharedDirectory !== undefined) await linkTemplate(directory, sharedDirectory, templateId);
      }
    } catch (cause) {
      throw new AtollError("template.failed", "the template could not be baked", { cause });
    }
    const template = await this.find(templateId);
    if (template === undefined) throw new AtollError("template.failed", "the template vanished");
    return template;
  }

  async #bake(directory: string, templateId: string, image: ImageFiles, size: MachineSize): Promise<void> {
    const { hypervisor, prepareGuest, signal } = this.#options;
    const { diskPath, ramPath, deviceStatePath } = templateFiles(directory);
    await formatDisk(diskPath, size.diskMb, signal);
    await using machine = await hypervisor.launch({
      machineId: `bake-${templateId.slice(0, 8)}-${randomBytes(4).toString("hex")}`,
      image,
      size,
      disk: { kind: "raw", path: diskPath },
      start: { kind: "boot", templateRamPath: ramPath },
      signal,
    });
    const { linkToken } = await prepareGuest(machine, { signal });
    await machine.stop(signal);
    await machine.saveTemplate(deviceStatePath, signal);
    await machine.kill();
    for (const path of [diskPath, ramPath, deviceStatePath]) {
      await chown(path, process.getuid?.() ?? 0, process.getgid?.() ?? 0);
      // Every machine's own uid reads them through a bind mount; the directory above keeps everyone else out.
      await chmod(path, 0o444);
      await syncFile(path);
    }
    const manifest: z.infer<typeof templateManifest> = {
      format: 1,
      templateId,
      imageKey: image.key,
      fingerprint: hypervisor.fingerprint,
      size: { cpus: size.cpus, memoryMb: size.memoryMb, diskMb: size.diskMb },
      linkToken,
    };
    await replaceFile(join(directory, "manifest.json"), JSON.stringify(templateManifest.parse(manifest)));
  }
}

/** Makes `<directory>/<templateId>` whole or not at all; one that another process made meanwhile stays. */
async function inStaging(
  directory: string,
  templateId: string,
  fill: (staging: string) => Promise<void>,
): Promise<void> {
  const staging = join(directory, `${STAGING}${templateId}-${randomBytes(4).toString("hex")}`);
  const ops = fileOps();
  await makeDirectory(staging);
  try {
    await fill(staging);
    await ops.rename(staging, join(directory, templateId)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw error;
    });
    await syncDirectory(directory);
  } finally {
    await ops.remove(staging);
  }
}

/** False when there is none to link. Its files are never written again, so they may have several names. */
async function linkTemplate(from: string, to: string, templateId: string): Promise<boolean> {
  const template = await readTemplate(from, templateId);
  if (template === undefined) return false;
  await inStaging(to, templateId, async (staging) => {
    for (const name of await readdir(join(from, templateId))) {
      await fileOps().link(join(from, templateId, name), join(staging, name));
    }
    await syncDirectory(staging);
  });
  return true;
}
