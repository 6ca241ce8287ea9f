/** Memory of templates, unpacked once for all who begin from them and kept for those who come next. */
import type { Clock } from "@atoll/base/clock";
import { AtollError } from "@atoll/protocol/atoll-error";
import type { MemoryLedger } from "../checkpoints/captured-memory.ts";
import type { LocalPoint, PointMemory } from "../checkpoints/local-point.ts";
import type { Hypervisor, UnpackedState } from "../hypervisor/hypervisor.ts";
import { hasCode } from "./has-code.ts";

export interface UnpackedMemoriesOptions {
  hypervisor: Pick<Hypervisor, "unpack">;
  /** Shared with other copies of guests' memory: both lie in this host's. */
  memoryLedger: MemoryLedger;
  clock: Clock;
  onFault: (error: unknown) => void;
}

/** A class begins within minutes of each other. */
const KEPT_FOR_MS = 10 * 60_000;

interface Kept {
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
  /** By disk: one that others begin from has one memory. */
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
   * Undefined where it is not worth its memory, or there is none to spare: then it is read for this one machine.
   * @throws AtollError checkpoint.damaged
   */
  async lend(point: LocalPoint, signal: AbortSignal | undefined): Promise<LentMemory | undefined> {
    const { memory, origin, isForMany } = point;
    // What differs from a template is small, and shares that template.
    if (memory === undefined || memory.facts.templateId !== null || !isForMany) return undefined;
    const { diskId } = origin.directory;
    const known = this.#kept.get(diskId);
    const kept = known ?? this.#keep(diskId, point, memory, signal);
    kept.userCount++;
    kept.cancelExpiry();
    const giveBack = () => this.#giveBack(diskId, kept);
    try {
      return { state: await kept.state, [Symbol.asyncDispose]: giveBack };
    } catch (error) {
      await giveBack();
      // Another's trouble, or only that of sharing.
      if (known !== undefined || hasCode(error, "host.full", "checkpoint.not_found")) return undefined;
      throw error;
    }
  }

  /** What is in use goes with its last user. Call it when the disk's directory is gone. */
  async drop(diskId: string): Promise<void> {
    const kept = this.#kept.get(diskId);
    if (kept === undefined) return;
    this.#kept.delete(diskId);
    if (kept.userCount === 0) await this.#dispose(kept);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#kept.keys()].map((diskId) => this.drop(diskId)));
  }

  #keep(diskId: string, point: LocalPoint, memory: PointMemory, signal: AbortSignal | undefined): Kept {
    const state = this.#unpack(point, memory, signal);
    const kept: Kept = { state, sizeBytes: memory.sizeBytes, userCount: 0, cancelExpiry: () => {} };
    this.#kept.set(diskId, kept);
    state.catch(() => {
      if (this.#kept.get(diskId) === kept) this.#kept.delete(diskId);
    });
    return kept;
  }

  async #unpack(
    { origin }: LocalPoint,
    memory: PointMemory,
    signal: AbortSignal | undefined,
  ): Promise<UnpackedState> {
    const { hypervisor, memoryLedger } = this.#options;
    const { sizeBytes, facts } = memory;
    memoryLedger.take(sizeBytes);
    this.#usedBytes += sizeBytes;
    try {
      // Erased since the point was opened: whoever erases looks here after the directory, so one of both sees the other.
      if (!(await origin.directory.isThere())) throw new AtollError("checkpoint.not_found");
      return await hypervisor.unpack(memory.read({ lends: true }), facts.memoryMb, signal);
    } catch (error) {
      this.#release(sizeBytes);
      throw error;
    }
  }

  async #giveBack(diskId: string, kept: Kept): Promise<void> {
    kept.userCount--;
    if (kept.userCount > 0) return;
    // Dropped meanwhile, or never made.
    if (this.#kept.get(diskId) !== kept) return this.#dispose(kept);
    const { clock, onFault } = this.#options;
    kept.cancelExpiry = clock.schedule(KEPT_FOR_MS, () => void this.drop(diskId).catch(onFault));
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
