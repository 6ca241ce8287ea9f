/**
 * Machines that wait to be someone's: an encrypted disk with a key of its own, and a process over a template that has
 * loaded everything and is stopped. Made one at a time in the background; an item whose process ends is dropped.
 */
import { AtollError } from "@atoll/protocol/atoll-error";
import type { ImageFiles, Machine } from "../hypervisor/hypervisor.ts";
import type { Template } from "../templates/template-store.ts";

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

export interface MachinePoolOptions {
  /** Makes a disk and a loaded machine over it. Slow: seconds, more when it is made ahead and nobody waits. */
  make: (kind: PoolKind, options: { isAhead: boolean }) => Promise<PoolItem>;
  /** Ends the machine, wipes the key and removes the disk. */
  discard: (item: PoolItem) => Promise<void>;
  /** A refill failed; the pool tries again at the next claim. */
  onFault: (error: unknown) => void;
}

interface Shelf {
  kind: PoolKind;
  target: number;
  ready: PoolItem[];
}

export class MachinePool implements AsyncDisposable {
  readonly #options: MachinePoolOptions;
  readonly #shelves = new Map<string, Shelf>();
  #refilling: Promise<void> | undefined;
  #isClosed = false;

  constructor(options: MachinePoolOptions) {
    this.#options = options;
  }

  get readyCount(): number {
    return this.#items().length;
  }

  get diskIds(): string[] {
    return this.#items().map(({ diskId }) => diskId);
  }

  /** From now on keeps `target` items of this kind, beginning with the next refill. */
  keep(kind: PoolKind, target: number): void {
    const shelf = this.#shelves.get(kind.template.templateId);
    if (shelf === undefined) this.#shelves.set(kind.template.templateId, { kind, target, ready: [] });
    else shelf.target = Math.max(shelf.target, target);
  }

  /** A ready item, or one made now; exactly one caller gets it. */
  async claim(kind: PoolKind): Promise<PoolItem> {
    if (this.#isClosed) throw new AtollError("host.draining");
    const item = this.#shelves.get(kind.template.templateId)?.ready.shift();
    if (item === undefined) return this.#options.make(kind, { isAhead: false });
    return item;
  }

  /** Makes up for what was claimed. The caller says when: a refill takes a core from the start it follows. */
  refill(): void {
    if (this.#isClosed || this.#refilling !== undefined) return;
    this.#refilling = this.#fill().finally(() => {
      this.#refilling = undefined;
    });
  }

  /** Resolves when every shelf is full or refilling has failed. */
  async settled(): Promise<void> {
    await this.#refilling;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    await this.#refilling;
    const items = this.#items();
    this.#shelves.clear();
    await Promise.all(items.map((item) => this.#options.discard(item)));
  }

  #items(): PoolItem[] {
    return [...this.#shelves.values()].flatMap(({ ready }) => ready);
  }

  async #fill(): Promise<void> {
    for (;;) {
      const shelf = [...this.#shelves.values()].find(({ target, ready }) => ready.length < target);
      if (shelf === undefined || this.#isClosed) return;
      try {
        const item = await this.#options.make(shelf.kind, { isAhead: true });
        shelf.ready.push(item);
        void item.machine.exited.then(() => this.#drop(shelf, item));
      } catch (error) {
        return this.#options.onFault(error);
      }
    }
  }

  /** A claimed item is not on the shelf any more; its machine's end is its owner's matter. */
  async #drop(shelf: Shelf, item: PoolItem): Promise<void> {
    const at = shelf.ready.indexOf(item);
    if (at === -1 || this.#isClosed) return;
    shelf.ready.splice(at, 1);
    await this.#options.discard(item).catch(this.#options.onFault);
  }
}
