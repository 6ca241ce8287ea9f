/**
 * Sealed machine states of one workspace's disk: `<directory>/<id>.sealed` and, committed last, `<id>.json`. A snapshot
 * is good for exactly one load: its manifest names the disk's epoch, and the caller raises that before the vCPUs run.
 */
import { createHash, randomBytes, randomUUID } from "node:crypto";
import { open, readdir, readFile, stat, statfs } from "node:fs/promises";
import { join } from "node:path";
import { createFile } from "@atoll/durable/create-file";
import { fileOps } from "@atoll/durable/file-ops";
import { makeDirectory } from "@atoll/durable/make-directory";
import { replaceFile } from "@atoll/durable/replace-file";
import { syncDirectory } from "@atoll/durable/sync-directory";
import { deriveKey } from "@atoll/keys/derive-key";
import { unwrapKey, wrapKey, wrappedKey } from "@atoll/keys/wrap-key";
import { AtollError } from "@atoll/protocol/atoll-error";
import { uuid } from "@atoll/protocol/ids";
import { z } from "zod";
import { type SealContext, seal, unseal } from "./seal.ts";

const snapshotManifest = z.strictObject({
  format: z.literal(1),
  snapshotId: uuid,
  workspaceId: uuid,
  epoch: z.number().int().nonnegative(),
  /** Of the hypervisor that saved it. */
  fingerprint: z.string(),
  imageKey: z.string(),
  /** Null for a machine that was booted, not restored. */
  templateId: z.string().nullable(),
  memoryMb: z.number().int().positive(),
  sealedBytes: z.number().int().nonnegative(),
  sealedSha256: z.string().length(64),
  plainBytes: z.number().int().nonnegative(),
  /** The key of this one stream, under the workspace's. */
  key: wrappedKey,
  createdAtMs: z.number(),
});
export type SnapshotManifest = z.infer<typeof snapshotManifest>;

export interface SnapshotOrigin {
  workspaceId: string;
  epoch: number;
  fingerprint: string;
  imageKey: string;
  templateId: string | null;
  memoryMb: number;
}

/** Left free beside a snapshot: the journal, the disks of running machines and the key store need room to go on. */
const RESERVE_BYTES = 256 * 1024 * 1024;
const READ_BYTES = 1024 * 1024;

/**
 * Refuses when not even an incompressible image of all RAM would fit; asked before anything is stopped.
 * @throws AtollError host.disk_full
 */
export async function requireSpace(directory: string, memoryMb: number): Promise<void> {
  const { bavail, bsize } = await statfs(directory);
  const neededBytes = memoryMb * 1024 * 1024 + RESERVE_BYTES;
  if (bavail * bsize < neededBytes) {
    throw new AtollError("host.disk_full", undefined, {
      details: { neededBytes, freeBytes: bavail * bsize },
    });
  }
}

/** Seals `state`, commits the manifest, then removes older snapshots. Nothing of it stays when it fails. */
export async function writeSnapshot(
  directory: string,
  workspaceKey: Uint8Array,
  origin: SnapshotOrigin,
  state: AsyncIterable<Uint8Array>,
  nowMs: number,
): Promise<SnapshotManifest> {
  const snapshotId = randomUUID();
  await makeDirectory(directory);
  const path = join(directory, `${snapshotId}.sealed`);
  const key = randomBytes(32);
  const hash = createHash("sha256");
  let plainBytes = 0;
  let sealedBytes = 0;
  const counted = async function* () {
    for await (const piece of state) {
      plainBytes += piece.length;
      yield piece;
    }
  };
  try {
    {
      await using file = await createFile(path);
      for await (const piece of seal(counted(), key, { ...origin, snapshotId })) {
        await file.write(piece);
        hash.update(piece);
        sealedBytes += piece.length;
      }
      await file.sync();
    }
    // Its name as well, before a manifest can say that it is there.
    await syncDirectory(directory);
    const manifest: SnapshotManifest = {
      format: 1,
      snapshotId,
      ...origin,
      sealedBytes,
      sealedSha256: hash.digest("hex"),
      plainBytes,
      key: wrapUnder(workspaceKey, key, { ...origin, snapshotId }),
      createdAtMs: nowMs,
    };
    await replaceFile(
      join(directory, `${snapshotId}.json`),
      JSON.stringify(snapshotManifest.parse(manifest)),
    );
    await removeSnapshots(directory, snapshotId);
    return manifest;
  } catch (error) {
    await fileOps().remove(path);
    if ((error as NodeJS.ErrnoException).code === "ENOSPC") {
      throw new AtollError("host.disk_full", undefined, { cause: error });
    }
    throw error;
  } finally {
    key.fill(0);
  }
}

/** @throws AtollError snapshot.invalid when it is absent, damaged or of another workspace */
export async function readManifest(directory: string, snapshotId: string): Promise<SnapshotManifest> {
  try {
    const manifest = snapshotManifest.parse(
      JSON.parse(await readFile(join(directory, `${uuid.parse(snapshotId)}.json`), "utf8")),
    );
    if (manifest.snapshotId !== snapshotId) throw new Error("another snapshot's manifest");
    return manifest;
  } catch (cause) {
    throw new AtollError("snapshot.invalid", "the manifest cannot be used", { cause });
  }
}

/**
 * @param expected what a snapshot of this workspace, made here and now, would say
 * @throws AtollError snapshot.invalid when it belongs to something else, snapshot.incompatible when it cannot be loaded here
 */
export function requireFit(manifest: SnapshotManifest, expected: SnapshotOrigin): void {
  if (manifest.workspaceId !== expected.workspaceId || manifest.epoch !== expected.epoch) {
    throw new AtollError("snapshot.invalid", "the snapshot is not of this disk's present state");
  }
  const { fingerprint, imageKey, memoryMb, templateId } = expected;
  const isLoadable =
    manifest.fingerprint === fingerprint &&
    manifest.imageKey === imageKey &&
    manifest.memoryMb === memoryMb &&
    manifest.templateId === templateId;
  if (!isLoadable) throw new AtollError("snapshot.incompatible");
}

/** The newest manifest that can be read and fits `epoch`. */
export async function findManifest(directory: string, epoch: number): Promise<SnapshotManifest | undefined> {
  const found: SnapshotManifest[] = [];
  for (const name of await readdir(directory).catch(() => [])) {
    if (!name.endsWith(".json")) continue;
    const manifest = await readManifest(directory, name.slice(0, -".json".length)).catch(() => undefined);
    if (manifest?.epoch === epoch) found.push(manifest);
  }
  return found.sort((one, other) => other.createdAtMs - one.createdAtMs)[0];
}

/**
 * The state that was sealed. It reads as it is consumed, so a fault may come after the first bytes.
 * @throws AtollError snapshot.invalid, key.not_found
 */
export async function* readSnapshot(
  directory: string,
  workspaceKey: Uint8Array,
  manifest: SnapshotManifest,
): AsyncGenerator<Uint8Array> {
  const path = join(directory, `${manifest.snapshotId}.sealed`);
  const { size } = await stat(path).catch((cause: unknown) => {
    throw new AtollError("snapshot.invalid", "the sealed file is gone", { cause });
  });
  if (size !== manifest.sealedBytes) throw new AtollError("snapshot.invalid", `${size} bytes are there`);
  const key = unwrapUnder(workspaceKey, manifest);
  try {
    await using file = await open(path, "r");
    yield* unseal(
      pieces(file.createReadStream({ highWaterMark: READ_BYTES, autoClose: false })),
      key,
      manifest,
    );
  } finally {
    key.fill(0);
  }
}

/** All of them, or all but one. Manifests first, so that none names a missing file for long. */
export async function removeSnapshots(directory: string, exceptId?: string): Promise<void> {
  const names = (await readdir(directory).catch(() => [])).filter(
    (name) => exceptId === undefined || !name.startsWith(exceptId),
  );
  for (const name of names.sort()) await fileOps().remove(join(directory, name));
  if (names.length > 0) await syncDirectory(directory);
}

async function* pieces(stream: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  yield* stream;
}

function contextOf({ workspaceId, snapshotId, epoch }: SealContext): string {
  return `atoll snapshot key 1 ${workspaceId} ${snapshotId} ${epoch}`;
}

function wrapUnder(workspaceKey: Uint8Array, key: Uint8Array, context: SealContext): string {
  const wrapping = deriveKey(workspaceKey, "snapshot-wrap");
  try {
    return wrapKey(wrapping, key, contextOf(context));
  } finally {
    wrapping.fill(0);
  }
}

function unwrapUnder(workspaceKey: Uint8Array, manifest: SnapshotManifest): Uint8Array {
  const wrapping = deriveKey(workspaceKey, "snapshot-wrap");
  try {
    return unwrapKey(wrapping, manifest.key, contextOf(manifest));
  } catch (cause) {
    throw new AtollError("snapshot.invalid", "the snapshot's key does not open", { cause });
  } finally {
    wrapping.fill(0);
  }
}
