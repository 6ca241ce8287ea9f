/**
 * Things of several kinds that are made one at a time in the background, before anyone asks. Whoever takes one owns it.
 */
export interface ShelfOptions<Kind, Item> {
  make: (kind: Kind) => Promise<Item>;
  /** Of what nobody took. */
  discard: (item: Item) => Promise<void>;
  /** Resolves when an item is of no use any more: while nobody has taken it, it is discarded then. */
  spoilt?: (item: Item) => Promise<unknown>;
  /** Asked before one is made: what is not is tried again at the next refill. */
  mayMake?: (kind: Kind) => boolean;
  /** How many of the kinds that are kept while they are asked for: those asked for last. None unless told. */
  askedForMax?: number;
  /** Making one failed; it is tried again at the next refill. */
  onFault: (error: unknown) => void;
}

interface Row<Kind, Item> {
  kind: Kind;
  target: number;
  ready: Item[];
  making?: Promise<Item>;
}

export class Shelf<Kind, Item> implements AsyncDisposable {
  readonly #options: ShelfOptions<Kind, Item>;
  readonly #rows = new Map<string | number, Row<Kind, Item>>();
  /** The one asked for last at the end. */
  readonly #askedFor = new Set<string | number>();
  readonly #discarding = new Set<Promise<void>>();
  #refilling: Promise<void> | undefined;
  #isClosed = false;

  constructor(options: ShelfOptions<Kind, Item>) {
    this.#options = options;
  }

  get items(): Item[] {
    return [...this.#rows.values()].flatMap(({ ready }) => ready);
  }

  /** Of each item that is ready. */
  get readyKinds(): Kind[] {
    return [...this.#rows.values()].flatMap(({ kind, ready }) => ready.map(() => kind));
  }

  get kinds(): Kind[] {
    return [...this.#rows.values()].map(({ kind }) => kind);
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** From now on keeps at least `target` of this kind, beginning with the next refill. */
  keep(id: string | number, kind: Kind, target: number): void {
    const row = this.#rows.get(id);
    if (row === undefined) this.#rows.set(id, { kind, target, ready: [] });
    else row.target = Math.max(row.target, target);
  }

  /** As `keep`, until `askedForMax` other kinds were asked for after it: what is ready of it then is discarded. */
  keepAskedFor(id: string | number, kind: Kind, target: number): void {
    this.#askedFor.delete(id);
    this.#askedFor.add(id);
    this.keep(id, kind, target);
    for (const oldest of this.#askedFor) {
      if (this.#askedFor.size <= (this.#options.askedForMax ?? 0)) return;
      void this.forget(oldest);
    }
  }

  /** No more of this kind until it is kept again. Resolves when none is ready, or being made. */
  async forget(id: string | number): Promise<void> {
    this.#askedFor.delete(id);
    const row = this.#rows.get(id);
    if (row === undefined || this.#isClosed) return;
    this.#rows.delete(id);
    // One that is being made for it finds that nobody wants it.
    row.target = 0;
    for (const item of row.ready.splice(0)) void this.#discard(item);
    await row.making?.catch(() => {});
    await Promise.all(this.#discarding);
  }

  /** The oldest of this kind, to exactly one caller. */
  take(id: string | number): Item | undefined {
    return this.#rows.get(id)?.ready.shift();
  }

  /** Makes up for what was taken. The caller says when: it takes a core from whatever runs then. */
  refill(): void {
    if (this.#isClosed || this.#refilling !== undefined) return;
    this.#refilling = this.#fill().finally(() => {
      this.#refilling = undefined;
    });
  }

  /** Resolves when everything is there or a refill has failed. */
  async settled(): Promise<void> {
    await this.#refilling;
  }

  /** When it resolves nothing is being made and nothing is kept. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    await this.#refilling;
    const { items } = this;
    this.#rows.clear();
    await Promise.all([...items.map((item) => this.#options.discard(item)), ...this.#discarding]);
  }

  #discard(item: Item): Promise<void> {
    const discarding = this.#options
      .discard(item)
      .catch(this.#options.onFault)
      .finally(() => this.#discarding.delete(discarding));
    this.#discarding.add(discarding);
    return discarding;
  }

  async #fill(): Promise<void> {
    const { make, spoilt, onFault, mayMake = () => true } = this.#options;
    for (;;) {
      const row = [...this.#rows.values()].find(
        ({ kind, target, ready }) => ready.length < target && mayMake(kind),
      );
      if (row === undefined || this.#isClosed) return;
      try {
        row.making = make(row.kind);
        const item = await row.making;
        if (row.target === 0) {
          await this.#discard(item);
          continue;
        }
        row.ready.push(item);
        void spoilt?.(item).then(() => this.#drop(row, item));
      } catch (error) {
        return onFault(error);
      }
    }
  }

  async #drop({ ready }: Row<Kind, Item>, item: Item): Promise<void> {
    const at = ready.indexOf(item);
    if (at === -1 || this.#isClosed) return;
    ready.splice(at, 1);
    await this.#discard(item);
  }
}
