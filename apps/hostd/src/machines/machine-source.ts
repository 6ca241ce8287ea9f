import type { CheckpointInfo, checkpointList } from "@atoll/protocol/hostd-api";
import type { MachineSize } from "@atoll/protocol/plans";
import type { z } from "zod";
import type { Machine } from "../hypervisor/hypervisor.ts";

export interface MachineRequest {
  workspaceId: string;
  ownerId: string;
  image: string;
  size: MachineSize;
  /** Of a create that is repeated: a key that the try before left has nothing under it. */
  mayReplaceKey?: boolean;
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
  /** `boot`: the origin had no memory that can be loaded here, so the guest begins with its kernel. */
  startsBy: "restore" | "boot";
  /** What the guest's agent expects at the next handshake. */
  linkToken: string;
  /** SHA-256 commitment of the workspace key, for the receipt. */
  keyCommitment: string;
}

export interface DestroyedWorkspace {
  /** Of the key that was destroyed; null when there never was one. */
  keyCommitment: string | null;
  keyDestroyedAtMs: number;
  dataUnlinkedAtMs: number;
}

export interface SnapshotRef {
  snapshotId: string;
  /** Bytes on disk. */
  sizeBytes: number;
  createdAtMs: number;
}

type CheckpointList = z.infer<typeof checkpointList>;

/** Whose key and which disk a checkpoint lies under. */
export interface CheckpointOwner {
  ownerId: string;
  workspaceId: string;
  disk: WorkspaceDisk;
}

export interface CheckpointFacts {
  checkpointId: string;
  name: string;
  kind: CheckpointInfo["kind"];
}

/**
 * A state that others can begin from: layers nobody writes to any more, and the memory over them if it was kept. Holds
 * keys and maybe memory of a guest; whoever got it disposes of it, which removes nothing that was stored.
 */
export interface Point extends AsyncDisposable {
  readonly hasMemory: boolean;
  /** How long the source's vCPUs stood still for it. */
  readonly stoppedMs: number;
}

/** Room on this host's disk that is promised to one pause. */
export interface SpaceReservation extends Disposable {
  readonly bytes: number;
}

/** What a fork can be prepared from while it goes on. */
export interface ForkOrigin {
  owner: CheckpointOwner;
  machine: Machine;
  size: MachineSize;
}

export type PreparedFork = AsyncDisposable;

/**
 * Where the lifecycle gets machines from; above it nobody knows of templates, pools, disks or sealing.
 * All methods are safe to repeat after a crash with what the journal says.
 */
export interface MachineSource {
  /** A ready disk and a waiting process over the template; wraps the disk's key for the owner, durably, before it returns. */
  create(request: MachineRequest): Promise<CreatedMachine>;
  /** Of `create` or `createFrom`, when nobody noted it: the machine and its disk. The key is replaced or destroyed later. */
  discard(created: Pick<CreatedMachine, "machine" | "disk">): Promise<void>;
  /**
   * Cold start from the workspace's own disk. Raises the epoch, durably, before the disk is opened.
   * @param options `isForMany`: others will begin from its memory, which stands for itself then
   */
  boot(
    request: MachineRequest,
    disk: WorkspaceDisk,
    options?: { isForMany?: boolean },
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
  /** Sealed memory of a workspace that was stopped: nobody resumes it. Repeatable. */
  dropSnapshots(disk: WorkspaceDisk): Promise<void>;
  /**
   * Before a pause: room for what sealing this machine may need, also against other pauses at the same time. What earlier
   * sealings left is void. @throws AtollError host.disk_full
   */
  reserve(request: MachineRequest, disk: WorkspaceDisk, machine: Machine): Promise<SpaceReservation>;
  /**
   * Of a stopped machine whose guest is quiesced: seals state and RAM under the workspace's key, commits the manifest
   * last, then kills the process. When it fails, or was aborted, the machine is as it was: stopped, its memory complete.
   */
  seal(request: MachineRequest, disk: WorkspaceDisk, machine: Machine): Promise<SnapshotRef>;

  /**
   * Freezes the present state; of a running machine its guest must be quiesced, or be by `quiesce`. Stops the vCPUs for as long as copying
   * the changed memory takes and lets them run again. Durable is only that the disk goes on in a new layer: what is kept
   * of the point decides `keep`.
   */
  capture(
    request: MachineRequest,
    disk: WorkspaceDisk,
    machine: Machine | undefined,
    options: {
      withMemory: boolean;
      /** What the guest's agent expects; whoever begins at this point needs it. */
      linkToken: string;
      /** Makes the guest stand still, where it does not yet; gone through beside whatever needs no such guest. */
      quiesce?: () => Promise<void>;
      /** Let the vCPUs run afterwards; false for a machine that was standing still already. */
      letRun: boolean;
    },
  ): Promise<{ disk: WorkspaceDisk; point: Point }>;
  /** Stores a captured point as a checkpoint of the workspace it came from. Repeating an id answers the stored one. */
  keep(
    request: MachineRequest,
    disk: WorkspaceDisk,
    point: Point,
    facts: CheckpointFacts,
  ): Promise<CheckpointInfo>;
  /**
   * @param options `withMemory: false` leaves the memory out; `isForMany`: others will begin at the same
   * @throws AtollError checkpoint.not_found, checkpoint.damaged, key.not_found
   */
  openCheckpoint(
    owner: CheckpointOwner,
    checkpointId: string,
    options?: { withMemory?: boolean; isForMany?: boolean },
  ): Promise<Point>;
  /**
   * A new workspace that begins at `point`: its own key and identity, its own top layer, the layers below shared as
   * files. With memory the guest goes on where the point was and expects the origin's link token. Image, template and the
   * disk's size are the origin's; other CPUs or RAM than the origin's boot.
   * @throws AtollError request.invalid for a smaller disk than the origin's
   */
  createFrom(request: MachineRequest, point: Point, prepared?: PreparedFork): Promise<CreatedMachine>;
  /**
   * Begins a fork of a machine that runs beside capturing its state, which `createFrom` then goes on with if it can. Whoever
   * asked disposes of it after that: what was not used goes.
   */
  prepareFork(request: MachineRequest, origin: ForkOrigin): PreparedFork;
  listCheckpoints(owner: CheckpointOwner): Promise<CheckpointList>;
  /** Also removes layers that nothing needs any more. Repeatable. */
  deleteCheckpoint(owner: CheckpointOwner, checkpointId: string): Promise<void>;
  /**
   * The disk as it was at the checkpoint, in a new layer over it; any sealed snapshot is void. No machine may have the
   * disk open. Repeating it gives the same content.
   */
  restore(request: MachineRequest, disk: WorkspaceDisk, checkpointId: string): Promise<WorkspaceDisk>;
  /**
   * Right after `restore`: with the checkpoint's memory.
   * @throws AtollError checkpoint.damaged, snapshot.incompatible: the caller boots instead and says so
   */
  resumeCheckpoint(
    request: MachineRequest,
    disk: WorkspaceDisk,
    checkpointId: string,
  ): Promise<{ machine: Machine; disk: WorkspaceDisk; linkToken: string }>;
  /** When the disk has more layers than is good for it: fewer, with the same content. */
  flatten(request: MachineRequest, disk: WorkspaceDisk, machine: Machine | undefined): Promise<WorkspaceDisk>;
  /**
   * A machine that is nobody's, not started, with the disk of a checkpoint (or with null of a workspace that does not
   * run) as its view. Killing it removes all of it.
   */
  openView(
    owner: CheckpointOwner,
    checkpointId: string | null,
    signal?: AbortSignal,
  ): Promise<{ machine: Machine; linkToken: string }>;
  /** A stopped workspace's disk in its smallest form, out of the way; `unarchive` before anything else uses it. Both repeatable. */
  archive(request: MachineRequest, disk: WorkspaceDisk): Promise<WorkspaceDisk>;
  unarchive(request: MachineRequest, disk: WorkspaceDisk): Promise<WorkspaceDisk>;
  /** Whether a key protects something of this workspace, known or not. */
  hasKey(workspaceId: string): Promise<boolean>;
  /**
   * Destroys the workspace's keys first, durably, then unlinks its data. Repeatable; answers the same times.
   * @param ownerId undefined when nobody knows it any more
   */
  destroy(
    workspaceId: string,
    ownerId: string | undefined,
    disk: WorkspaceDisk | undefined,
  ): Promise<DestroyedWorkspace>;
  /** The first half of `destroy`, for one whose data cannot be told. */
  destroyKey(workspaceId: string): Promise<void>;
  /** Destroys the owner's key, and with it every key it wraps. */
  destroyOwnerKey(ownerId: string): Promise<{ commitment: string | null; destroyedAtMs: number }>;
  /**
   * After adoption at start: ends machines nobody adopted, removes directories below `workspaces/` that neither the sets
   * nor the pool name, and starts filling the pool.
   * @param strays of records that cannot be read; their machines run on; while that is not all of theirs, no directory is removed, and no machine over one that nobody names ends
   */
  sweep(
    knownDiskIds: ReadonlySet<string>,
    strays?: { diskIds: ReadonlySet<string>; isComplete: boolean },
  ): Promise<void>;
  /** Machines that wait for a create. */
  readonly readyCount: number;
  /** Processes that wait for a running workspace's fork. */
  readonly readyForkCount: number;
  /** Of the first plan's template. */
  readonly templateState: "baking" | "ready" | "failed";
}
