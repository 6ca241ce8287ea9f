import type { DiskDirectory } from "../disks/disk-directory.ts";
import type { MemoryBaseRecord } from "../disks/disk-record.ts";
import { wipeLayers } from "../disks/layer-keys.ts";
import type { DiskLayer } from "../hypervisor/hypervisor.ts";
import type { Point } from "../machines/machine-source.ts";
import type { ReadOptions } from "../snapshots/seal.ts";

/** Where a memory can be loaded, and what its guest expects then. */
export interface MemoryFacts {
  /** Of the hypervisor that saved it. */
  fingerprint: string;
  /** Whose RAM it differs from; null for one that differs from no template. */
  templateId: string | null;
  cpus: number;
  memoryMb: number;
  linkToken: string;
}

/** Of a stored memory, what others need to have it as well. */
export interface StoredMemory {
  /** The same for all who have it. */
  readonly baseId: string;
  /** As the other's record says it. */
  recordUnder(workspaceKey: Uint8Array): MemoryBaseRecord;
  /** @throws AtollError checkpoint.damaged, snapshot.invalid when it is gone */
  link(path: string): Promise<void>;
}

/** A whole memory that many machines are a view of. */
export interface SharedMemory extends StoredMemory {
  /** Whose name it is read under. */
  readonly directory: Pick<DiskDirectory, "diskId" | "isThere">;
  readonly memoryMb: number;
  readonly sizeBytes: number;
  read(options?: ReadOptions): AsyncIterable<Uint8Array>;
}

export interface PointMemory extends AsyncDisposable {
  /** Whole, from the beginning; any number of readers at once. */
  read(options?: ReadOptions): AsyncIterable<Uint8Array>;
  readonly sizeBytes: number;
  readonly facts: MemoryFacts;
  /** Of a checkpoint's. */
  readonly stored?: StoredMemory;
  /** Where it was saved as a difference to one that is shared: both, so that it is loaded like that too. */
  readonly over?: { base: SharedMemory; read(options?: ReadOptions): AsyncIterable<Uint8Array> };
}

export interface LocalPointOptions {
  workspaceId: string;
  directory: DiskDirectory;
  /** Bottom first, none of them written any more. The point owns the keys. */
  layers: readonly DiskLayer[];
  imageKey: string;
  templateId: string;
  epoch: number;
  /** The checkpoint that the origin's disk continued from. */
  parentId: string | null;
  memory: PointMemory | undefined;
  /** Others will begin at the same: its memory is unpacked once for all of them. */
  isForMany: boolean;
  stoppedMs: number;
  /** Called once, when nothing of it is needed any more. */
  onDispose: () => void;
}

export class LocalPoint implements Point {
  readonly origin: Readonly<Omit<LocalPointOptions, "memory" | "isForMany" | "stoppedMs" | "onDispose">>;
  readonly memory: PointMemory | undefined;
  readonly isForMany: boolean;
  readonly stoppedMs: number;
  readonly #onDispose: () => void;
  #isDisposed = false;

  constructor({ memory, isForMany, stoppedMs, onDispose, ...origin }: LocalPointOptions) {
    this.origin = origin;
    this.memory = memory;
    this.isForMany = isForMany;
    this.stoppedMs = stoppedMs;
    this.#onDispose = onDispose;
  }

  get hasMemory(): boolean {
    return this.memory !== undefined;
  }

  get layerIds(): string[] {
    return this.origin.layers.map(({ layerId }) => layerId);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    wipeLayers(this.origin.layers);
    this.#onDispose();
    await this.memory?.[Symbol.asyncDispose]();
  }
}

export function requireLocal(point: Point): LocalPoint {
  if (point instanceof LocalPoint) return point;
  throw new TypeError("a point of another source");
}
