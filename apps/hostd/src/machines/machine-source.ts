import type { MachineSize } from "@atoll/protocol/plans";
import type { Machine } from "../hypervisor/hypervisor.ts";

export interface MachineRequest {
  workspaceId: string;
  ownerId: string;
  image: string;
  size: MachineSize;
  signal?: AbortSignal;
}

/** What the journal keeps of a workspace's durable parts. */
export interface WorkspaceDisk {
  /** Directory name below the data directory's `workspaces/`; made before the workspace was, by the pool. */
  diskId: string;
  imageKey: string;
  templateId: string;
  /** Grows with every writable open of the disk; a snapshot is valid only for the epoch it names. */
  epoch: number;
}

export interface CreatedMachine {
  /** Loaded, not started. */
  machine: Machine;
  disk: WorkspaceDisk;
  /** What the guest's agent expects at the next handshake. */
  linkToken: string;
  /** SHA-256 commitment of the workspace key, for the receipt. */
  keyCommitment: string;
}

export interface SnapshotRef {
  snapshotId: string;
  /** Bytes on disk. */
  sizeBytes: number;
  createdAtMs: number;
}

/**
 * Where the lifecycle gets machines from; above it nobody knows of templates, pools, disks or sealing.
 * All methods are safe to repeat after a crash with what the journal says.
 */
export interface MachineSource {
  /** A ready disk and a waiting process over the template; wraps the disk's key for the owner, durably, before it returns. */
  create(request: MachineRequest): Promise<CreatedMachine>;
  /** Cold start from the workspace's own disk. Raises the epoch, durably, before the disk is opened. */
  boot(
    request: MachineRequest,
    disk: WorkspaceDisk,
  ): Promise<{ machine: Machine; disk: WorkspaceDisk; linkToken: string }>;
  /**
   * From a sealed snapshot, which is consumed durably before this returns: the disk's epoch rises. The machine is loaded,
   * not started.
   * @throws AtollError snapshot.invalid, snapshot.incompatible: the caller boots instead and says so.
   */
  resume(
    request: MachineRequest,
    disk: WorkspaceDisk,
    snapshot: SnapshotRef,
  ): Promise<{ machine: Machine; disk: WorkspaceDisk }>;
  /** The committed snapshot that fits the disk's epoch: after a crash between a pause and the journal. */
  findSnapshot(workspaceId: string, disk: WorkspaceDisk): Promise<SnapshotRef | undefined>;
  /**
   * Of a machine whose guest is quiesced: stops it, seals state and RAM under the workspace's key, commits the manifest
   * last, then kills the process. Space is checked first (`host.disk_full`: the machine goes on running).
   */
  pause(request: MachineRequest, disk: WorkspaceDisk, machine: Machine): Promise<SnapshotRef>;
  /** Destroys the workspace's keys first, durably, then unlinks its data. Repeatable; answers the same times. */
  destroy(
    workspaceId: string,
    ownerId: string,
    disk: WorkspaceDisk | undefined,
  ): Promise<{ keyDestroyedAtMs: number; dataUnlinkedAtMs: number }>;
  /** Destroys the owner's key, and with it every key it wraps. */
  destroyOwnerKey(ownerId: string): Promise<{ commitment: string | null; destroyedAtMs: number }>;
  /** After adoption at start: ends machines nobody adopted, removes directories below `workspaces/` that neither the set nor the pool names, and starts filling the pool. */
  sweep(knownDiskIds: ReadonlySet<string>): Promise<void>;
  readonly readyCount: number;
  /** Of the first plan's template. */
  readonly templateState: "baking" | "ready" | "failed";
}
