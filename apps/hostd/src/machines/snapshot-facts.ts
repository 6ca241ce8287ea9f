import type { PointMemory } from "../checkpoints/local-point.ts";
import type { Hypervisor, Machine } from "../hypervisor/hypervisor.ts";
import type { SnapshotManifest, SnapshotOrigin } from "../snapshots/snapshot-store.ts";
import type { MachineRequest, SnapshotRef, WorkspaceDisk } from "./machine-source.ts";

/** Of the process that saves: an upgrade may have come to this host while it ran. */
export function fingerprintOf({ record }: Machine, hypervisor: Pick<Hypervisor, "fingerprint">): string {
  return record.fingerprint ?? hypervisor.fingerprint;
}

/** Whether memory of these facts, over a disk of this template, loads in a machine of this size. */
export function fitsMachine(
  { fingerprint, templateId, cpus, memoryMb }: Omit<PointMemory["facts"], "linkToken">,
  diskTemplateId: string,
  hypervisor: Pick<Hypervisor, "fingerprint">,
  size: { cpus: number; memoryMb: number },
): boolean {
  const isOfTemplate = templateId === null || templateId === diskTemplateId;
  return (
    isOfTemplate && fingerprint === hypervisor.fingerprint && cpus === size.cpus && memoryMb === size.memoryMb
  );
}

/** What a snapshot is bound to; it loads where all of it is the same. */
export function snapshotOrigin(
  fingerprint: string,
  { workspaceId, size }: MachineRequest,
  { epoch, imageKey }: WorkspaceDisk,
  under: Pick<SnapshotOrigin, "templateId" | "baseId">,
): SnapshotOrigin {
  return { workspaceId, epoch, fingerprint, imageKey, ...under, memoryMb: size.memoryMb };
}

export function snapshotRef({ snapshotId, sealedBytes, createdAtMs }: SnapshotManifest): SnapshotRef {
  return { snapshotId, sizeBytes: sealedBytes, createdAtMs };
}
