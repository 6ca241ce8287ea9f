/**
 * Machines that wait to be someone's: an encrypted disk with a key of its own, and a process over a template that has
 * loaded everything and is stopped. Made one at a time in the background; an item whose process ends is dropped.
 */
import { availableParallelism } from "node:os";
import { LimitedTurns } from "@atoll/base/limited-turns";
import { AtollError } from "@atoll/protocol/atoll-error";
import type { ImageFiles, Machine } from "../hypervisor/hypervisor.ts";
import type { Template } from "../templates/template-store.ts";
import { Shelf } from "./shelf.ts";

export interface PoolItem {
  diskId: string;
  templateId: string;
  /** What the guest's agent expects at the next handshake. */
  linkToken: string;
  /** The workspace's key to be. Whoever claims the item wipes it. */
  key: Uint8Array;
  machine: Machine;
}

export interface PoolKind {
  template: Template;
  image: ImageFiles;
}

/** Who waits for a machine. */
export interface Claimant {
  ownerId: string;
  signal: AbortSignal;
}

export interface MachinePoolOptions {
  /** Makes a disk and a loaded machine over it. Slow: seconds, more when it is made ahead and nobody waits. */
  make: (kind: PoolKind, options: { isAhead: boolean }) => Promise<PoolItem>;
  /** Ends the machine, wipes the key and removes the disk. */
  discard: (item: PoolItem) => Promise<void>;
  /** Whether this host has room for one more machine that waits. */
  mayWait?: ((memoryMb: number) => boolean) | undefined;
  /** A refill failed; the pool tries again at the next claim. */
  onFault: (error: unknown) => void;
}

/** How many sizes, apart from the warm one, machines are kept of: the plans' larger ones. Of more, those asked for last. */
const OTHER_SIZES_MAX = 3;

export class MachinePool implements AsyncDisposable {
  readonly #options: MachinePoolOptions;
  readonly #shelf: Shelf<PoolKind, PoolItem>;
  /** Starting a process keeps a core busy: many at once only make the first as late as the last. */
  readonly #launchTurns = new LimitedTurns({ atOnce: availableParallelism() });

  constructor(options: MachinePoolOptions) {
    this.#options = options;
    const { make, discard, onFault, mayWait = () => true } = options;
    this.#shelf = new Shelf({
      make: (kind) => make(kind, { isAhead: true }),
      discard,
      mayMake: ({ template }) => mayWait(template.size.memoryMb),
      spoilt: ({ machine }) => machine.exited,
      askedForMax: OTHER_SIZES_MAX,
      onFault,
    });
  }

  get readyCount(): number {
    return this.#shelf.items.length;
  }

  /** What the machines that wait may come to use. */
  get readyMemoryMb(): number {
    return this.#shelf.readyKinds.reduce((sum, { template }) => sum + template.size.memoryMb, 0);
  }

  get diskIds(): string[] {
    return this.#shelf.items.map(({ diskId }) => diskId);
  }

  /** From now on keeps `target` items of this kind, beginning with the next refill. */
  keep(kind: PoolKind, target: number): void {
    this.#shelf.keep(kind.template.templateId, kind, target);
  }

  /** As `keep`, while it is one of the kinds asked for last. */
  keepAskedFor(kind: PoolKind, target: number): void {
    this.#shelf.keepAskedFor(kind.template.templateId, kind, target);
  }

  /** A ready item, or one made now; exactly one caller gets it. */
  async claim(kind: PoolKind, { ownerId, signal }: Claimant): Promise<PoolItem> {
    const take = () => {
      if (this.#shelf.isClosed) throw new AtollError("host.draining");
      return this.#shelf.take(kind.template.templateId);
    };
    const make = async () => take() ?? (await this.#options.make(kind, { isAhead: false }));
    return take() ?? (await this.#launchTurns.run(ownerId, signal, make));
  }

  /** Makes up for what was claimed. The caller says when: a refill takes a core from the start it follows. */
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
