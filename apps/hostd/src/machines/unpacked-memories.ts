/** Memory of templates, unpacked once for all who begin from them and kept for those who come next. */
import type { Clock } from "@atoll/base/clock";
import { AtollError } from "@atoll/protocol/atoll-error";
import type { MemoryLedger } from "../checkpoints/captured-memory.ts";
import type { SharedMemory } from "../checkpoints/local-point.ts";
import type { Hypervisor, UnpackedState } from "../hypervisor/hypervisor.ts";
import { hasCode } from "./has-code.ts";

export interface UnpackedMemoriesOptions {
  hypervisor: Pick<Hypervisor, "unpack">;
  /** Shared with other copies of guests' memory: both lie in this host's. */
  memoryLedger: MemoryLedger;
  clock: Clock;
  /** What was made ahead over it is of no use from now on. */
  onDropped: (baseId: string) => Promise<void>;
  onFault: (error: unknown) => void;
}

/** A class begins, and comes back, within minutes of each other. */
export const KEPT_FOR_MS = 10 * 60_000;

/** Read again it is no better. */
const MEMORY_DAMAGE = ["checkpoint.damaged", "snapshot.invalid"] as const;

interface Kept {
  /** Of the disk that it was read from: with that it goes. */
  diskId: string;
  state: Promise<UnpackedState>;
  sizeBytes: number;
  userCount: number;
  cancelExpiry: () => void;
}

/** While it is lent it is not disposed of. */
export interface LentMemory extends AsyncDisposable {
  readonly state: UnpackedState;
}

export class UnpackedMemories implements AsyncDisposable {
  readonly #options: UnpackedMemoriesOptions;
  /** By the memory's name. */
  readonly #kept = new Map<string, Kept>();
  #usedBytes = 0;

  constructor(options: UnpackedMemoriesOptions) {
    this.#options = options;
  }

  /** Of this host's memory. */
  get usedMb(): number {
    return Math.ceil(this.#usedBytes / 2 ** 20);
  }

  /**
   * Undefined where there is no memory to spare: then it is read for this one machine.
   * @throws AtollError of whoever reads it, for what is damaged
   */
  async lend(memory: SharedMemory, signal: AbortSignal | undefined): Promise<LentMemory | undefined> {
    const known = this.#kept.get(memory.baseId);
    try {
      return await this.#lend(memory.baseId, known ?? this.#keep(memory, signal));
    } catch (error) {
      // Another's trouble is no reason to give up, nor is that of sharing.
      if (known !== undefined || hasCode(error, "host.full", "checkpoint.not_found")) return undefined;
      if (signal?.aborted || hasCode(error, ...MEMORY_DAMAGE)) throw error;
      this.#options.onFault(error);
      return undefined;
    }
  }

  isKept(baseId: string): boolean {
    return this.#kept.has(baseId);
  }

  /** What lies there now. @throws AtollError vm.start_failed when it does not */
  async lendKept(baseId: string): Promise<LentMemory> {
    const kept = this.#kept.get(baseId);
    if (kept === undefined) throw new AtollError("vm.start_failed", "the unpacked memory is gone");
    return this.#lend(baseId, kept);
  }

  /** What is in use goes with its last user. Call it when the disk's directory is gone. */
  async dropOf(diskId: string): Promise<void> {
    const kept = [...this.#kept].filter(([, { diskId: from }]) => from === diskId);
    await Promise.all(kept.map(([baseId]) => this.#drop(baseId)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#kept.keys()].map((baseId) => this.#drop(baseId)));
  }

  async #lend(baseId: string, kept: Kept): Promise<LentMemory> {
    kept.userCount++;
    kept.cancelExpiry();
    const giveBack = () => this.#giveBack(baseId, kept);
    try {
      return { state: await kept.state, [Symbol.asyncDispose]: giveBack };
    } catch (error) {
      await giveBack();
      throw error;
    }
  }

  async #drop(baseId: string): Promise<void> {
    const kept = this.#kept.get(baseId);
    if (kept === undefined) return;
    this.#kept.delete(baseId);
    // Decided now: a last user that gives it back meanwhile disposes of it.
    const isLent = kept.userCount > 0;
    await this.#options.onDropped(baseId);
    if (!isLent) await this.#dispose(kept);
  }

  #keep(memory: SharedMemory, signal: AbortSignal | undefined): Kept {
    const { baseId, sizeBytes, directory } = memory;
    const state = this.#unpack(memory, signal);
    const kept: Kept = { diskId: directory.diskId, state, sizeBytes, userCount: 0, cancelExpiry: () => {} };
    this.#kept.set(baseId, kept);
    state.catch(() => {
      if (this.#kept.get(baseId) === kept) this.#kept.delete(baseId);
    });
    return kept;
  }

  async #unpack(memory: SharedMemory, signal: AbortSignal | undefined): Promise<UnpackedState> {
    const { hypervisor, memoryLedger } = this.#options;
    const { baseId, sizeBytes, memoryMb } = memory;
    memoryLedger.take(sizeBytes);
    this.#usedBytes += sizeBytes;
    try {
      // Erased since it was opened: whoever erases looks here after the directory, so one of both sees the other.
      if (!(await memory.directory.isThere())) throw new AtollError("checkpoint.not_found");
      return await hypervisor.unpack(memory.read({ lends: true }), { baseId, memoryMb, signal });
    } catch (error) {
      this.#release(sizeBytes);
      throw error;
    }
  }

  async #giveBack(baseId: string, kept: Kept): Promise<void> {
    kept.userCount--;
    if (kept.userCount > 0) return;
    // Dropped meanwhile, or never made.
    if (this.#kept.get(baseId) !== kept) return this.#dispose(kept);
    const { clock, onFault } = this.#options;
    kept.cancelExpiry = clock.schedule(KEPT_FOR_MS, () => void this.#drop(baseId).catch(onFault));
  }

  async #dispose(kept: Kept): Promise<void> {
    kept.cancelExpiry();
    const state = await kept.state.catch(() => undefined);
    if (state === undefined) return;
    await state[Symbol.asyncDispose]();
    this.#release(kept.sizeBytes);
  }

  #release(bytes: number): void {
    this.#options.memoryLedger.giveBack(bytes);
    this.#usedBytes -= bytes;
  }
}
