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
import { areSameProof, keyedProof } from "@atoll/keys/keyed-proof";
import { AtollError } from "@atoll/protocol/atoll-error";
import { uuid } from "@atoll/protocol/ids";
import { z } from "zod";
import { diskError } from "../disks/disk-error.ts";
import { SealedFile, sealedFacts, writeSealedFile } from "./sealed-file.ts";

const unproven = z.strictObject({
  format: z.literal(2),
  snapshotId: uuid,
  workspaceId: uuid,
  epoch: z.number().int().nonnegative(),
  /** Of the hypervisor that saved it. */
  fingerprint: z.string(),
  imageKey: z.string(),
  /** Whose RAM it differs from; null for one that differs from no template. */
  templateId: z.string().nullable(),
  /** The memory that it differs from, if that is not a baked template's. */
  baseId: uuid.optional(),
  memoryMb: z.number().int().positive(),
  ...sealedFacts,
  createdAtMs: z.number(),
});
const snapshotManifest = unproven.extend({
  /** HMAC over all the others, under the workspace's key; hex. */
  proof: z.string().regex(/^[0-9a-f]{64}$/),
});
export type SnapshotManifest = z.infer<typeof snapshotManifest>;

export interface SnapshotOrigin {
  workspaceId: string;
  epoch: number;
  fingerprint: string;
  imageKey: string;
  templateId: string | null;
  baseId?: string | undefined;
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
  const { workspaceId, epoch, fingerprint, imageKey, templateId, baseId, memoryMb } = origin;
  let manifest: SnapshotManifest;
  try {
    manifest = proveManifest(workspaceKey, {
      ...{ format: 2, snapshotId, workspaceId, epoch, fingerprint, imageKey, templateId, baseId, memoryMb },
      ...{ ...sealed, createdAtMs: nowMs },
    });
    await replaceFile(join(directory, `${snapshotId}.json`), JSON.stringify(manifest));
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

/** Nothing that it says can be changed without its workspace's key. */
export function proveManifest(
  workspaceKey: Uint8Array,
  manifest: Omit<SnapshotManifest, "proof">,
): SnapshotManifest {
  return { ...manifest, proof: proofOf(workspaceKey, manifest) };
}

function proofOf(workspaceKey: Uint8Array, manifest: Omit<SnapshotManifest, "proof">): string {
  // Through the schema, so that the order of keys is always the same.
  const said = unproven.strip().parse(manifest);
  return keyedProof(workspaceKey, "snapshot-seal", JSON.stringify(said));
}

/**
 * As it is written; whether it was written here shows when it is opened.
 * @throws AtollError snapshot.invalid when it is absent, damaged or another snapshot's
 */
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
  const { fingerprint, imageKey, memoryMb, templateId, baseId } = expected;
  const isLoadable =
    manifest.fingerprint === fingerprint &&
    manifest.imageKey === imageKey &&
    manifest.memoryMb === memoryMb &&
    manifest.templateId === templateId &&
    manifest.baseId === baseId;
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

/** @throws AtollError snapshot.invalid, also when the manifest says anything else than what was stored */
export async function openSnapshot(
  directory: string,
  workspaceKey: Uint8Array,
  manifest: SnapshotManifest,
): Promise<SealedFile> {
  if (!areSameProof(manifest.proof, proofOf(workspaceKey, manifest))) {
    throw new AtollError("snapshot.invalid", "the manifest is not what was stored");
  }
  const path = join(directory, `${manifest.snapshotId}.sealed`);
  return await SealedFile.open(path, workspaceKey, manifest, manifest);
}

/** All of them, or all but one. Manifests first, so that none names a missing file for long. */
export async function removeSnapshots(directory: string, exceptId?: string): Promise<void> {
  const names = (await readdir(directory).catch(() => [])).filter(
    (name) => exceptId === undefined || !name.startsWith(exceptId),
  );
  for (const name of names.sort()) await fileOps().remove(join(directory, name));
  if (names.length > 0) await syncDirectory(directory);
}
