import { AtollError } from "@atoll/protocol/atoll-error";

/** Flattenings under way: each ends early for whatever else its disk is wanted for. */
export class BackgroundFlattening {
  readonly #running = new Map<string, { cut: AbortController; done: Promise<unknown> }>();

  /** @param work gets a signal for being cut off, beside the caller's own */
  async run(
    diskId: string,
    signal: AbortSignal | undefined,
    work: (signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    await this.cut(diskId);
    const cut = new AbortController();
    const done = work(signal === undefined ? cut.signal : AbortSignal.any([cut.signal, signal]));
    const entry = { cut, done: done.catch(() => {}) };
    this.#running.set(diskId, entry);
    try {
      await done;
    } finally {
      if (this.#running.get(diskId) === entry) this.#running.delete(diskId);
    }
  }

  /** Resolves when none runs any more. What it copied so far stays, and changes nothing. */
  async cut(diskId: string): Promise<void> {
    const running = this.#running.get(diskId);
    running?.cut.abort(new AtollError("request.aborted", "the disk is wanted for something else"));
    await running?.done;
  }
}
