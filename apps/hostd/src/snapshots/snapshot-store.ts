/**
 * Sealed machine states of one workspace's disk: `<directory>/<id>.sealed` and, committed last, `<id>.json`. A snapshot
 * is good for exactly one load: its manifest names the disk's epoch, and the caller raises that before the vCPUs run.
 */
import { randomUUID } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileOps } from "@atoll/durable/file-ops";
import { makeDirectory } from "@atoll/durable/make-directory";
import { replaceFile } from "@atoll/durable/replace-file";
import { syncDirectory } from "@atoll/durable/sync-directory";
import { AtollError } from "@atoll/protocol/atoll-error";
import { uuid } from "@atoll/protocol/ids";
import { z } from "zod";
import { diskError } from "../disks/disk-error.ts";
import { SealedFile, sealedFacts, writeSealedFile } from "./sealed-file.ts";

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
  ...sealedFacts,
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
  const sealed = await writeSealedFile(path, workspaceKey, { ...origin, snapshotId }, state);
  const manifest: SnapshotManifest = { format: 1, snapshotId, ...origin, ...sealed, createdAtMs: nowMs };
  try {
    const text = JSON.stringify(snapshotManifest.parse(manifest));
    await replaceFile(join(directory, `${snapshotId}.json`), text);
  } catch (error) {
    // The manifest as well: it is there when only the sync of its name failed.
    await fileOps().remove(join(directory, `${snapshotId}.json`));
    await fileOps().remove(path);
    throw diskError(error);
  }
  // It is committed, whatever becomes of the ones before it.
  await removeSnapshots(directory, snapshotId).catch(() => {});
  return manifest;
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

/**
 * Those that can be read, fit `epoch` and have their sealed file at its length, newest first. More than one is there when
 * hostd ended between the commit of one and the removal of the one before it, both of the same standing machine.
 */
export async function findManifests(directory: string, epoch: number): Promise<SnapshotManifest[]> {
  const found: SnapshotManifest[] = [];
  for (const name of await readdir(directory).catch(() => [])) {
    if (!name.endsWith(".json")) continue;
    const manifest = await readManifest(directory, name.slice(0, -".json".length)).catch(() => undefined);
    if (manifest?.epoch !== epoch) continue;
    const file = await stat(join(directory, `${manifest.snapshotId}.sealed`)).catch(() => undefined);
    if (file?.size === manifest.sealedBytes) found.push(manifest);
  }
  return found.sort((one, other) => other.createdAtMs - one.createdAtMs);
}

/** @throws AtollError snapshot.invalid */
export function openSnapshot(
  directory: string,
  workspaceKey: Uint8Array,
  manifest: SnapshotManifest,
): Promise<SealedFile> {
  const path = join(directory, `${manifest.snapshotId}.sealed`);
  return SealedFile.open(path, workspaceKey, manifest, manifest);
}

/** All of them, or all but one. Manifests first, so that none names a missing file for long. */
export async function removeSnapshots(directory: string, exceptId?: string): Promise<void> {
  const names = (await readdir(directory).catch(() => [])).filter(
    (name) => exceptId === undefined || !name.startsWith(exceptId),
  );
  for (const name of names.sort()) await fileOps().remove(join(directory, name));
  if (names.length > 0) await syncDirectory(directory);
}
