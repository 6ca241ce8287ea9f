/**
 * Lifetime of everything that can leak: whoever opens a resource defers its release here on the same line.
 * Process scope → connection scope → stream scope; closing a parent closes its children.
 */
export class Scope implements AsyncDisposable {
  readonly #abort = new AbortController();
  readonly #releases: Array<() => unknown> = [];
  #closing: Promise<void> | undefined;

  /** Aborts when closing starts; pass it to every wait, fetch and child process. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  get isClosing(): boolean {
    return this.#closing !== undefined;
  }

  /** Releases run newest first. On a scope already closing, `release` runs at once. */
  defer(release: () => unknown): void {
    if (this.#closing) void Promise.resolve().then(release);
    else this.#releases.push(release);
  }

  /** Hands over a disposable and returns it. */
  own<T extends AsyncDisposable | Disposable>(resource: T): T {
    this.defer(() =>
      Symbol.asyncDispose in resource
        ? resource[Symbol.asyncDispose]()
        : (resource as Disposable)[Symbol.dispose](),
    );
    return resource;
  }

  /** Safe to call many times: every caller gets the same promise. */
  close(): Promise<void> {
    this.#closing ??= this.#run();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #run(): Promise<void> {
    // #closing is set before any abort listener can re-enter.
    await Promise.resolve();
    this.#abort.abort();
    const failures: unknown[] = [];
    for (const release of this.#releases.splice(0).reverse()) {
      try {
        await release();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, "scope did not close cleanly");
  }
}
