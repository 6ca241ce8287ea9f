import { AtollError } from "@atoll/protocol/atoll-error";
import { diskError } from "../disks/disk-error.ts";

/** Operations waiting for their turn. A caller that repeats itself faster than this is refused. */
const QUEUE_MAX = 32;

export type Operation<T> = (signal: AbortSignal) => Promise<T>;

/** Runs an operation at its turn, or refuses to. */
export type Guard = <T>(operation: () => Promise<T>) => Promise<T>;

/** What makes a background operation give way: any operation that waits, or only one that needs the machine at once. */
type GivesWayTo = "any" | "urgent";

/** Runs the operations of one workspace one after another. What the host's disk refused them has its name. */
export class OperationQueue {
  readonly #guard: Guard;
  #tail: Promise<unknown> = Promise.resolve();
  #queuedCount = 0;
  #abort = new AbortController();
  #background: { abort: AbortController; givesWayTo: GivesWayTo } | undefined;

  constructor(guard: Guard) {
    this.#guard = guard;
  }

  /** Nothing runs and nothing waits. */
  get isEmpty(): boolean {
    return this.#queuedCount === 0;
  }

  /**
   * @param options.waiting ends the wait at once: what runs now may itself wait for this one to be given up
   * @throws AtollError workspace.busy
   */
  run<T>(
    operation: Operation<T>,
    options: { isUrgent?: boolean; waiting?: AbortSignal | undefined } = {},
  ): Promise<T> {
    const background = this.#background;
    if (background !== undefined && (options.isUrgent || background.givesWayTo === "any")) {
      background.abort.abort(new AtollError("workspace.busy", "something else came first"));
    }
    return this.#enqueue(() => operation(this.#abort.signal), options.waiting);
  }

  /** Waits its turn like the others; from then on it gives way to what comes after it. */
  runInBackground<T>(givesWayTo: GivesWayTo, operation: Operation<T>): Promise<T> {
    return this.#enqueue(async () => {
      const abort = new AbortController();
      const background = { abort, givesWayTo };
      // With others waiting already there is no time for it at all.
      if (givesWayTo === "any" && this.#queuedCount > 1) throw new AtollError("workspace.busy");
      this.#background = background;
      try {
        return await operation(AbortSignal.any([this.#abort.signal, abort.signal]));
      } finally {
        if (this.#background === background) this.#background = undefined;
      }
    });
  }

  /** Aborts what runs; what comes at a later turn finds why by itself. */
  abortAll(error: AtollError): void {
    this.#abort.abort(error);
    this.#abort = new AbortController();
  }

  #enqueue<T>(operation: () => Promise<T>, waiting?: AbortSignal): Promise<T> {
    if (this.#queuedCount >= QUEUE_MAX) return Promise.reject(new AtollError("workspace.busy"));
    this.#queuedCount += 1;
    const guard = this.#guard;
    const givenUp = Promise.withResolvers<never>();
    const onAbort = () => givenUp.reject(waiting?.reason);
    const result = this.#tail.then(async () => {
      waiting?.removeEventListener("abort", onAbort);
      waiting?.throwIfAborted();
      try {
        return await guard(operation);
      } catch (error) {
        throw diskError(error);
      }
    });
    const over = () => {
      this.#queuedCount -= 1;
    };
    this.#tail = result.then(over, over);
    if (waiting === undefined) return result;
    if (waiting.aborted) onAbort();
    else waiting.addEventListener("abort", onAbort, { once: true });
    return Promise.race([givenUp.promise, result]);
  }
}
