import type { Clock } from "@atoll/base/clock";
import type { KeyStore } from "@atoll/keys/key-store";
import type { MachineSize } from "@atoll/protocol/plans";
import type { Hypervisor } from "../hypervisor/hypervisor.ts";
import type { PrepareGuest } from "../templates/template-store.ts";
import type { RehearseGuest } from "./disk-launcher.ts";
import type { ImageSource } from "./image-source.ts";

export interface LocalMachineSourceOptions {
  dataDirectory: string;
  /** Baked templates of all data directories of this machine. */
  sharedTemplatesDirectory?: string | undefined;
  hypervisor: Hypervisor;
  keys: KeyStore;
  images: ImageSource;
  qemuImgCommand: readonly string[];
  /** Memory-backed, private to us: keys lie here while a disk is made. */
  scratchDirectory: string;
  prepareGuest: PrepareGuest;
  rehearseGuest: RehearseGuest;
  /** Baked at start, and `poolSize` machines of it kept ready. */
  warm: { image: string; size: MachineSize };
  poolSize: number;
  /** Whether this host has room for one more machine that waits; always, if absent. */
  mayWait?: (memoryMb: number) => boolean;
  /** Whether anybody waits for a start: nothing is made ahead meanwhile, for a while. */
  isStarting?: () => boolean;
  /** What copies of guests' memory may take of this process at the same time; 4 GiB. */
  capturedMemoryMaxBytes?: number;
  /** Awaited before a disk's record is written. @throws AtollError host.lease_lost when that is not ours to do any more */
  checkLease?: () => Promise<void>;
  /** Of the file system under `dataDirectory`; a parameter so that tests need no full disk. */
  freeBytes?: () => Promise<number>;
  /** Faults of background work: baking ahead, refilling, cleaning up. */
  onFault: (error: unknown) => void;
  clock?: Clock;
}
