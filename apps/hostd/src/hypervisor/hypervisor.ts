import type { Duplex } from "node:stream";
import type { MachineSize } from "@atoll/protocol/plans";
import type { Isolation } from "@atoll/protocol/workspace-status";

/** Files of a guest image, shared read-only by all its machines. */
export interface ImageFiles {
  /** Content address; part of every template's and snapshot's identity. */
  key: string;
  kernelPath: string;
  initramfsPath: string;
  /** Read-only disks in order: base, agent. */
  layerPaths: string[];
  kernelArguments: string;
}

/** One LUKS qcow2 of a user's disk. Written while it is the top, never changed once another lies above it. */
export interface DiskLayer {
  /** A UUID; no layer lies in two places of one machine's disks. */
  layerId: string;
  /** 32 bytes; the driver hands it over in memory-backed files only and never keeps it. */
  key: Uint8Array;
}

/** The user's disk: encrypted layers over a template disk without personal data. */
export interface EncryptedDisk {
  kind: "encrypted";
  /** Holds `<layerId>.qcow2` of every layer, and of the empty ones that `switchLayer` will be given. */
  directory: string;
  /** Bottom first, never empty; only the last is written. */
  layers: readonly DiskLayer[];
  /** Raw, unencrypted, read-only; the file system as the template's guest left it. */
  backingPath: string;
}

/** A template's own disk while it is baked: written by that one guest, without personal data. */
export interface RawDisk {
  kind: "raw";
  path: string;
}

/** RAM and device state of a machine baked to agent-ready. Read-only once made. */
export interface TemplateFiles {
  templateId: string;
  ramPath: string;
  deviceStatePath: string;
}

export type MachineStart =
  /**
   * From the kernel. `template`: of the guest's size; its RAM is what the guest finds in its own, as after a reset. Most of
   * what a guest comes to hold, one of the same image holds in the same places, so that its saved state gets small.
   * `templateRamPath`: keep guest RAM in this file, so that `saveTemplate` can follow.
   */
  | { kind: "boot"; template?: TemplateFiles | undefined; templateRamPath?: string }
  /** A private copy-on-write view of the template's RAM. */
  | { kind: "template"; template: TemplateFiles }
  /**
   * What `saveState` gave, over the same template or unpacked state (or neither, if that machine had none). Read once; a
   * piece may be gone when the next is asked for.
   */
  | {
      kind: "saved";
      template: TemplateFiles | undefined;
      base?: UnpackedState | undefined;
      state: AsyncIterable<Uint8Array>;
    }
  /** A private copy-on-write view of what `Hypervisor.unpack` made. */
  | { kind: "unpacked"; state: UnpackedState };

/** A saved state in memory-backed space. Disposed of, machines that began from it go on: what they need is theirs. */
export interface UnpackedState extends AsyncDisposable {
  /** As whoever had it unpacked calls that state; equal where the bytes are. */
  readonly baseId: string;
}

/** What the RAM of a machine that starts like this is a view of, where that was unpacked. */
export function baseOf(start: MachineStart): UnpackedState | undefined {
  if (start.kind === "saved") return start.base;
  return start.kind === "unpacked" ? start.state : undefined;
}

/** The template whose RAM a guest's is a private view of, where it is one's. */
export function templateOf(start: MachineStart): TemplateFiles | undefined {
  return "template" in start ? start.template : undefined;
}

export interface UnpackOptions {
  baseId: string;
  memoryMb: number;
  signal?: AbortSignal | undefined;
}

export interface SaveOptions {
  signal?: AbortSignal | undefined;
  /** Of a machine over an unpacked state: only what differs from that, which then loads over nothing else. */
  isOverBase?: boolean;
}

export interface LaunchSpec {
  machineId: string;
  image: ImageFiles;
  size: MachineSize;
  disk: EncryptedDisk | RawDisk;
  /**
   * A second disk to look into, as the guest's device with serial `view`. What is written to it goes into the layer on
   * top, which the caller throws away. Every machine has that device; without this it is empty.
   */
  view?: EncryptedDisk;
  start: MachineStart;
  signal?: AbortSignal;
}

/** What the journal keeps of a live machine, to find it again after a restart of hostd. */
export interface MachineRecord {
  machineId: string;
  /** The machine's own directory in memory-backed space: sockets and the monitor's log. Gone after a host reboot, like the process. */
  runDirectory: string;
  pid: number;
  /** Start time of the process in clock ticks since boot, from /proc: tells a recycled pid. */
  startTicks: string;
  hostBootId: string;
  uid: number;
  templateId: string | null;
  /** Of the unpacked state that its RAM is a view of; null for all others. */
  baseId: string | null;
  /** What differs from this file is what `saveState` saves. */
  baseRamPath: string;
  /** Lists the pages of that file that a whole state has as well; null where there are none. */
  basePagesPath: string | null;
  /** It began with its kernel: what it changed in its RAM may be the same as in that file, and is compared when it is saved. */
  isBooted: boolean;
  /** Of the driver that launched it: what it saves loads in no other. Null in records from before this was kept. */
  fingerprint: string | null;
}

export interface MachineExit {
  /** `guest_reset`: it rebooted, or its kernel panicked, which it answers with a reboot; that ends the process all the same. */
  reason: "killed" | "guest_halted" | "guest_reset" | "crashed";
  detail: string;
}

/** How the host's disk refuses a guest. */
export type DiskRefusal = "host.disk_full" | "host.disk_failed";

/** What a machine tells by itself while it lives. */
export type MachineEvent =
  /** The agent's end of the link closed, as the end of its process does, or opened again. */
  | { type: "port"; isOpen: boolean }
  /**
   * The host's disk refused the guest. `isStanding`: vCPUs stand still, and `start` tries once more what was refused;
   * otherwise the guest has seen the error.
   */
  | { type: "disk_error"; code: DiskRefusal; isStanding: boolean };

/**
 * One virtual machine process. Order: launched (vCPUs never ran) → `load` → `start` → running ⇄ `stop`/`start` →
 * `saveState` or `saveTemplate` while stopped → `kill`.
 */
export interface Machine extends AsyncDisposable {
  readonly record: MachineRecord;
  /** Resolves once, when the process is gone, however it went. */
  readonly exited: Promise<MachineExit>;
  /** Brings in what it was launched from, without running it. `start` does it if it was not done. @throws AtollError vm.start_failed, or what the saved state's stream threw */
  load(signal?: AbortSignal): Promise<void>;
  /**
   * Of one launched for saved state that has not loaded it: `layers`, bottom first, written by nobody any more and files in
   * the disk's directory, come right below the top. After a failure it is good for nothing but `kill`. @throws AtollError vm.start_failed
   */
  insertLayers(layers: readonly DiskLayer[], signal?: AbortSignal): Promise<void>;
  /** Lets the vCPUs run. */
  start(signal?: AbortSignal): Promise<void>;
  /** vCPUs stop; memory stays. */
  stop(signal?: AbortSignal): Promise<void>;
  /**
   * The byte stream to the guest agent; one at a time, a new one replaces it. May be opened before `start`, so that
   * the guest never sees the host absent. Survives nothing: after `kill` or a restart of hostd open it again.
   */
  openLink(signal?: AbortSignal): Promise<Duplex>;
  /**
   * While stopped: device state and the RAM that differs from the machine's template, in the driver's own form. Of a machine
   * over an unpacked state it is whole, unless only the difference is asked for. Plaintext only in memory-backed space.
   */
  saveState(options?: SaveOptions): AsyncIterable<Uint8Array>;
  /** While stopped, for a machine booted with `templateRamPath`: writes the device state and makes the pair durable. */
  saveTemplate(deviceStatePath: string, signal?: AbortSignal): Promise<void>;
  /** Returns what stops it. */
  onEvent(listener: (event: MachineEvent) => void): () => void;
  /**
   * Resolves when the monitor answers. @throws AtollError vm.monitor_failed at once when the process is stopped, else
   * after 5 s without an answer; vm.gone
   */
  ping(signal?: AbortSignal): Promise<void>;
  /** RAM that `saveState` would give now, in bytes, or at most (`isBooted`); cheap, and roughly right while the machine runs. */
  changedBytes(options?: Pick<SaveOptions, "isOverBase">): Promise<number>;
  /** The layer the guest's writes go to: after a crash it may be an older one than the disk's record names. */
  topLayerId(): Promise<string>;
  /**
   * Opens `layer`, whose empty file lies in the disk's directory, beside what is in use: `switchLayer` to it is quicker then.
   * At any time; repeating it is harmless, and so is never switching to it.
   */
  readyLayer(layer: DiskLayer, signal?: AbortSignal): Promise<void>;
  /**
   * From now on writes go to `layer`, whose empty file lies in the disk's directory; what was the top is only read.
   * While stopped; repeating it is harmless.
   */
  switchLayer(layer: DiskLayer, signal?: AbortSignal): Promise<void>;
  /**
   * Copies into the top what the layers below it hold, at low priority and while the guest runs; resolves when nothing
   * but the template's disk is below the top. Cut off at any point the disk's content is the same.
   */
  flatten(signal?: AbortSignal): Promise<void>;
  /** Resolves when the process is gone and its key material is wiped. */
  kill(): Promise<void>;
}

/** Two drivers (qemu, in-memory fake) pass what lies in `contract/`. */
export interface Hypervisor {
  readonly isolation: Isolation;
  /** Monitor, version, machine model and accelerator: a snapshot is only restored under an equal value. */
  readonly fingerprint: string;
  /** @throws AtollError vm.start_failed, host.full */
  launch(spec: LaunchSpec): Promise<Machine>;
  /**
   * What `saveState` gave of a machine without a template, for any number of machines to begin from. The stream is read once,
   * as for a start. @throws AtollError snapshot.invalid, host.full, or what the stream threw
   */
  unpack(state: AsyncIterable<Uint8Array>, options: UnpackOptions): Promise<UnpackedState>;
  /**
   * What was saved over an unpacked state as if it stood on nothing. @param base what that was unpacked from
   * @throws AtollError snapshot.invalid, or what a stream threw
   */
  joinStates(base: AsyncIterable<Uint8Array>, over: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array>;
  /** `Machine.flatten` for a disk that no machine has open. */
  flattenDisk(disk: EncryptedDisk, signal?: AbortSignal): Promise<void>;
  /** The machine of a record if exactly that process still lives, else undefined. Never signals a recycled pid. */
  adopt(record: MachineRecord): Promise<Machine | undefined>;
  /** Forgets its machines without ending them, for the next life of this host to adopt. Their handles are dead. */
  letGo(): Promise<void>;
  /** Ends machines that an earlier life of this host started and nobody adopted, but for the spared: call it after the last `adopt`. */
  reap(isSpared?: (machineId: string) => boolean): Promise<void>;
}
