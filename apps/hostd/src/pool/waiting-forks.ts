/** Processes that wait for a live fork's memory: starting one takes longer than capturing what it is to load. */
import type { ForkHalf, ForkKind } from "../machines/fork-half.ts";
import { Shelf } from "./shelf.ts";

export interface WaitingForksOptions {
  make: (kind: ForkKind) => Promise<ForkHalf>;
  discard: (half: ForkHalf) => Promise<void>;
  /** How many of a kind wait; none are made for a host that keeps nothing ready. */
  readyPerKind: number;
  /** Whether this host has room for one more machine that waits. */
  mayWait?: ((memoryMb: number) => boolean) | undefined;
  /** Whether what such a machine shares lies unpacked. */
  isKept: (baseId: string) => boolean;
  /** Making one failed; it is tried again at the next refill. */
  onFault: (error: unknown) => void;
}

/** Of more, those asked for last. */
const KINDS_MAX = 2;

/** Kept of what was forked lately: a host on which nobody forks what runs has none. */
export class WaitingForks implements AsyncDisposable {
  readonly #readyPerKind: number;
  readonly #shelf: Shelf<ForkKind, ForkHalf>;

  constructor(options: WaitingForksOptions) {
    const { make, discard, onFault, readyPerKind, isKept, mayWait = () => true } = options;
    this.#readyPerKind = readyPerKind;
    this.#shelf = new Shelf({
      make,
      discard,
      mayMake: ({ size, baseId }) => (baseId === null || isKept(baseId)) && mayWait(size.memoryMb),
      spoilt: ({ machine }) => machine.exited,
      askedForMax: KINDS_MAX,
      onFault,
    });
  }

  get readyCount(): number {
    return this.#shelf.items.length;
  }

  /** What those that wait may come to use. */
  get readyMemoryMb(): number {
    return this.#shelf.readyKinds.reduce((sum, { size }) => sum + size.memoryMb, 0);
  }

  get diskIds(): string[] {
    return this.#shelf.items.map(({ directory }) => directory.diskId);
  }

  /** Those that share this memory, which nobody keeps any more. */
  async dropOf(baseId: string): Promise<void> {
    await Promise.all(
      this.#shelf.kinds
        .filter((kind) => kind.baseId === baseId)
        .map((kind) => this.#shelf.forget(idOf(kind))),
    );
  }

  /** To exactly one caller. Others of this kind are kept from here on, beginning with the next refill. */
  take(kind: ForkKind): ForkHalf | undefined {
    const id = idOf(kind);
    this.#shelf.keepAskedFor(id, kind, this.#readyPerKind);
    return this.#shelf.take(id);
  }

  /** Makes up for what was taken. The caller says when: it takes a core for a tenth of a second each. */
  refill(): void {
    this.#shelf.refill();
  }

  /** Resolves when every kind is there or refilling has failed. */
  settled(): Promise<void> {
    return this.#shelf.settled();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#shelf[Symbol.asyncDispose]();
  }
}

function idOf({ template, isOverTemplate, baseId, imageKey, size }: ForkKind): string {
  const { cpus, memoryMb, diskMb } = size;
  return JSON.stringify([template.templateId, isOverTemplate, baseId, imageKey, cpus, memoryMb, diskMb]);
}
