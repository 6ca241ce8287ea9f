/** Checkpoints of one workspace: `<directory>/<id>.json`, committed last, and `<id>.sealed` where there is a memory. */
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileOps } from "@atoll/durable/file-ops";
import { makeDirectory } from "@atoll/durable/make-directory";
import { replaceFile } from "@atoll/durable/replace-file";
import { syncDirectory } from "@atoll/durable/sync-directory";
import { deriveKey } from "@atoll/keys/derive-key";
import { unwrapKey, wrapKey } from "@atoll/keys/wrap-key";
import { AtollError } from "@atoll/protocol/atoll-error";
import { uuid } from "@atoll/protocol/ids";
import { diskError } from "../disks/disk-error.ts";
import { wrapLayers } from "../disks/layer-keys.ts";
import { linkPresent } from "../disks/link-present.ts";
import type { CheckpointFacts } from "../machines/machine-source.ts";
import type { SealContext } from "../snapshots/seal.ts";
import { SealedFile, writeSealedFile } from "../snapshots/sealed-file.ts";
import { type CheckpointRecord, checkpointRecord, proveCheckpoint } from "./checkpoint-record.ts";
import type { LocalPoint, PointMemory } from "./local-point.ts";

export class CheckpointStore {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Durable when it returns; nothing of it stays when it fails. @throws AtollError host.disk_full, host.disk_failed */
  async write(
    workspaceKey: Uint8Array,
    point: LocalPoint,
    facts: CheckpointFacts,
    nowMs: number,
  ): Promise<CheckpointRecord> {
    const { workspaceId, directory, layers, imageKey, templateId, epoch, parentId } = point.origin;
    const { checkpointId, name, kind } = facts;
    const context: SealContext = { workspaceId, snapshotId: checkpointId, epoch };
    const [path, sealedPath] = [this.#path(checkpointId), this.#sealedPath(checkpointId)];
    try {
      await makeDirectory(this.#directory);
      // What a life that was cut short wrote of it.
      await fileOps().remove(sealedPath);
      let memory: CheckpointRecord["memory"] = null;
      if (point.memory !== undefined) {
        const { linkToken, ...loadable } = point.memory.facts;
        const sealed = await writeSealedFile(sealedPath, workspaceKey, context, point.memory.read());
        memory = { ...loadable, linkToken: wrapToken(workspaceKey, context, linkToken), ...sealed };
      }
      const record = proveCheckpoint(workspaceKey, {
        ...{ format: 1, checkpointId, workspaceId, diskId: directory.diskId, name, kind, parentId },
        ...{ createdAtMs: nowMs, epoch, imageKey, templateId, memory },
        layers: wrapLayers(workspaceKey, directory.diskId, layers),
      });
      await replaceFile(path, JSON.stringify(record));
      return record;
    } catch (error) {
      for (const part of [path, sealedPath]) await fileOps().remove(part);
      throw diskError(error);
    }
  }

  /** @throws AtollError checkpoint.not_found, checkpoint.damaged */
  async read(checkpointId: string): Promise<CheckpointRecord> {
    let text: string;
    try {
      text = await readFile(this.#path(checkpointId), "utf8");
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === "ENOENT") throw new AtollError("checkpoint.not_found");
      throw new AtollError("checkpoint.damaged", "the checkpoint cannot be read", { cause });
    }
    try {
      const record = checkpointRecord.parse(JSON.parse(text));
      if (record.checkpointId !== checkpointId) throw new Error("another checkpoint's record");
      return record;
    } catch (cause) {
      throw new AtollError("checkpoint.damaged", "the checkpoint's record cannot be used", { cause });
    }
  }

  /** @throws AtollError checkpoint.damaged */
  async openMemory(workspaceKey: Uint8Array, record: CheckpointRecord): Promise<PointMemory | undefined> {
    const { memory, workspaceId, checkpointId, epoch } = record;
    if (memory === null) return undefined;
    const context: SealContext = { workspaceId, snapshotId: checkpointId, epoch };
    const { fingerprint, templateId, cpus, memoryMb } = memory;
    try {
      const linkToken = unwrapToken(workspaceKey, context, memory.linkToken);
      const file = await SealedFile.open(this.#sealedPath(checkpointId), workspaceKey, context, memory);
      const { sealedBytes, sealedSha256, plainBytes } = memory;
      const shared = {
        baseId: checkpointId,
        workspaceId,
        epoch,
        memoryMb,
        sealedBytes,
        sealedSha256,
        plainBytes,
      };
      return {
        facts: { fingerprint, templateId, cpus, memoryMb, linkToken },
        sizeBytes: memory.plainBytes,
        read: (options) => asCheckpoint(file.read(options)),
        stored: {
          baseId: checkpointId,
          recordUnder: (otherKey) => ({ ...shared, key: file.keyUnder(otherKey) }),
          link: (path) => linkPresent(this.#sealedPath(checkpointId), path, memoryGone),
        },
        [Symbol.asyncDispose]: () => file[Symbol.asyncDispose](),
      };
    } catch (cause) {
      throw new AtollError("checkpoint.damaged", "the checkpoint's memory cannot be opened", { cause });
    }
  }

  /** Those that can be read, newest first. */
  async list(): Promise<CheckpointRecord[]> {
    return (await this.all()).records;
  }

  async all(): Promise<{ records: CheckpointRecord[]; unreadableIds: string[] }> {
    const records: CheckpointRecord[] = [];
    const unreadableIds: string[] = [];
    for (const name of await readdir(this.#directory).catch(() => [])) {
      const checkpointId = name.slice(0, -".json".length);
      if (!name.endsWith(".json") || !uuid.safeParse(checkpointId).success) continue;
      try {
        records.push(await this.read(checkpointId));
      } catch (error) {
        if (!(error instanceof AtollError && error.code === "checkpoint.not_found"))
          unreadableIds.push(checkpointId);
      }
    }
    records.sort((one, other) => other.createdAtMs - one.createdAtMs);
    return { records, unreadableIds };
  }

  async sealedBytes(record: CheckpointRecord): Promise<number> {
    if (record.memory === null) return 0;
    const file = await stat(this.#sealedPath(record.checkpointId)).catch(() => undefined);
    return file === undefined ? 0 : file.blocks * 512;
  }

  /** The one before it becomes the parent of those that continued from it. Repeatable; needs no key. */
  async remove(checkpointId: string): Promise<void> {
    const { records } = await this.all();
    const parentId = records.find((record) => record.checkpointId === checkpointId)?.parentId ?? null;
    for (const record of records) {
      if (record.parentId !== checkpointId) continue;
      await replaceFile(this.#path(record.checkpointId), JSON.stringify({ ...record, parentId }));
    }
    const paths = [this.#path(checkpointId), this.#sealedPath(checkpointId)];
    for (const path of paths) await fileOps().remove(path);
    if (await isThere(this.#directory)) await syncDirectory(this.#directory);
  }

  #path(checkpointId: string): string {
    return join(this.#directory, `${uuid.parse(checkpointId)}.json`);
  }

  #sealedPath(checkpointId: string): string {
    return join(this.#directory, `${uuid.parse(checkpointId)}.sealed`);
  }
}

const memoryGone = (cause: unknown) =>
  new AtollError("checkpoint.damaged", "the checkpoint's memory is gone", { cause });

/** The same faults under the name that the reader of a checkpoint knows. */
async function* asCheckpoint(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* source;
  } catch (cause) {
    if (!(cause instanceof AtollError && cause.code === "snapshot.invalid")) throw cause;
    throw new AtollError("checkpoint.damaged", "the checkpoint's memory is not what was sealed", { cause });
  }
}

const tokenContext = ({ workspaceId, snapshotId, epoch }: SealContext) =>
  `atoll checkpoint token 1 ${workspaceId} ${snapshotId} ${epoch}`;

function wrapToken(workspaceKey: Uint8Array, context: SealContext, token: string): string {
  const wrapping = deriveKey(workspaceKey, "snapshot-wrap");
  const bytes = Buffer.from(token, "hex");
  try {
    return wrapKey(wrapping, bytes, tokenContext(context));
  } finally {
    wrapping.fill(0);
  }
}

function unwrapToken(workspaceKey: Uint8Array, context: SealContext, wrapped: string): string {
  const wrapping = deriveKey(workspaceKey, "snapshot-wrap");
  try {
    return Buffer.from(unwrapKey(wrapping, wrapped, tokenContext(context))).toString("hex");
  } finally {
    wrapping.fill(0);
  }
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
