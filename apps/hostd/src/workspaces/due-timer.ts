import type { Clock } from "@atoll/base/clock";
import type { DueKind, DueTimes } from "./due-times.ts";

/** A timer of the platform holds no more than 2^31 ms, and the wall's clock may be set meanwhile. */
const LOOK_AGAIN_MS = 3_600_000;
const RETRY_FIRST_MS = 30_000;
const RETRY_MAX_MS = 600_000;

export interface DueTimerOptions {
  clock: Clock;
  /** Called for one thing at a time; what it rejects is tried again later. */
  onDue: (kind: DueKind) => Promise<void>;
  retryMaxMs?: number;
}

/** Does what is due, when it is, by wall time: dates of days are shown to people and outlive a process. */
export class DueTimer implements Disposable {
  readonly #options: DueTimerOptions;
  /** Monotonic times before which something that failed, or had nothing to do, is not tried again. */
  readonly #notBefore = new Map<DueKind, { atMs: number; retryMs: number }>();
  #due: DueTimes = {};
  #isBusy = false;
  #isClosed = false;
  #cancel = () => {};

  constructor(options: DueTimerOptions) {
    this.#options = options;
  }

  update(due: DueTimes): void {
    this.#due = due;
    for (const kind of this.#notBefore.keys()) if (due[kind] === undefined) this.#notBefore.delete(kind);
    this.#arm();
  }

  /** Found nothing to do: asked again after this time. */
  skip(kind: DueKind, forMs: number): void {
    this.#notBefore.set(kind, { atMs: this.#options.clock.monotonic() + forMs, retryMs: RETRY_FIRST_MS });
  }

  [Symbol.dispose](): void {
    this.#isClosed = true;
    this.#cancel();
  }

  #arm(): void {
    this.#cancel();
    if (this.#isBusy || this.#isClosed) return;
    const next = this.#next();
    if (next === undefined) return;
    const delayMs = Math.min(Math.max(next.inMs, 0), LOOK_AGAIN_MS);
    this.#cancel = this.#options.clock.schedule(delayMs, () => {
      const due = this.#next();
      if (due === undefined || due.inMs > 0) this.#arm();
      else void this.#run(due.kind);
    });
  }

  #next(): { kind: DueKind; inMs: number } | undefined {
    const { clock } = this.#options;
    let next: { kind: DueKind; inMs: number } | undefined;
    for (const [kind, dueMs] of Object.entries(this.#due) as [DueKind, number][]) {
      const waitMs = (this.#notBefore.get(kind)?.atMs ?? Number.NEGATIVE_INFINITY) - clock.monotonic();
      const inMs = Math.max(dueMs - clock.now(), waitMs);
      if (next === undefined || inMs < next.inMs) next = { kind, inMs };
    }
    return next;
  }

  #tryLater(kind: DueKind): void {
    const retryMs = this.#notBefore.get(kind)?.retryMs ?? RETRY_FIRST_MS;
    this.#notBefore.set(kind, {
      atMs: this.#options.clock.monotonic() + retryMs,
      retryMs: Math.min(retryMs * 2, this.#options.retryMaxMs ?? RETRY_MAX_MS),
    });
  }

  async #run(kind: DueKind): Promise<void> {
    this.#isBusy = true;
    const dueMs = this.#due[kind];
    try {
      await this.#options.onDue(kind);
      const skipped = this.#notBefore.get(kind);
      const isSkipped = skipped !== undefined && skipped.atMs > this.#options.clock.monotonic();
      // As due as before, whoever was asked: asking again at once would be all this process does.
      if (!isSkipped && this.#due[kind] === dueMs) this.#tryLater(kind);
      else if (!isSkipped) this.#notBefore.delete(kind);
    } catch {
      this.#tryLater(kind);
    } finally {
      this.#isBusy = false;
      this.#arm();
    }
  }
}
