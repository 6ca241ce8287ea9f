/** A workspace's directory below `workspaces/`: `disk.qcow2`, `disk.json` with its epoch, `snapshots/`. */
import { mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { replaceFile } from "@atoll/durable/replace-file";
import { syncDirectory } from "@atoll/durable/sync-directory";
import { AtollError } from "@atoll/protocol/atoll-error";
import { uuid } from "@atoll/protocol/ids";
import { z } from "zod";

const diskRecord = z.strictObject({
  format: z.literal(1),
  /** Raised, durably, before every writable open. */
  epoch: z.number().int().nonnegative(),
  imageKey: z.string(),
  templateId: z.string(),
});
export type DiskRecord = z.infer<typeof diskRecord>;

export class DiskDirectory {
  readonly diskId: string;
  readonly path: string;
  readonly #parent: string;

  constructor(parent: string, diskId: string) {
    this.#parent = parent;
    this.diskId = uuid.parse(diskId);
    this.path = join(parent, this.diskId);
  }

  get diskPath(): string {
    return join(this.path, "disk.qcow2");
  }

  get snapshotsPath(): string {
    return join(this.path, "snapshots");
  }

  async create(): Promise<void> {
    await mkdir(this.path, { recursive: true, mode: 0o700 });
  }

  async read(): Promise<DiskRecord> {
    try {
      return diskRecord.parse(JSON.parse(await readFile(join(this.path, "disk.json"), "utf8")));
    } catch (cause) {
      throw new AtollError("vm.start_failed", "the workspace's disk record cannot be read", { cause });
    }
  }

  async write(record: Omit<DiskRecord, "format">): Promise<void> {
    await replaceFile(
      join(this.path, "disk.json"),
      JSON.stringify(diskRecord.parse({ format: 1, ...record })),
    );
  }

  /** Durable. The higher of what is stored and what the caller knows is raised: neither may ever be used twice. */
  async raiseEpoch(known: number): Promise<number> {
    const record = await this.read();
    const epoch = Math.max(record.epoch, known) + 1;
    await this.write({ epoch, imageKey: record.imageKey, templateId: record.templateId });
    return epoch;
  }

  async remove(): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
    await syncDirectory(this.#parent);
  }
}
