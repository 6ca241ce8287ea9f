import { setImmediate as turn } from "node:timers/promises";
import type { Clock } from "@atoll/base/clock";
import { withDeadline } from "@atoll/base/with-deadline";
import { AtollError, toAtollError } from "@atoll/protocol/atoll-error";
import type { Machine } from "../hypervisor/hypervisor.ts";

const PING_EVERY_MS = 5000;
const ASK_AGAIN_MS = 1000;
/**
 * For so long it may fail to answer: a process may be stopped for seconds, by whoever looks at it or saves it, and what
 * is given up for that is memory.
 */
const STUCK_AFTER_MS = 10_000;
/** The driver has a shorter one of its own; this is for a driver that hangs as a whole. */
const PING_TIMEOUT_MS = 10_000;
/** A host that was asleep or stalled itself is not the machine's fault. */
const FAILURES_MIN = 2;

/** Without an answer in between. */
interface Failing {
  sinceMs: number;
  count: number;
}

export interface MachineWatchdogOptions {
  clock: Clock;
  /** The monitor does not obey any more: the owner kills the machine. */
  onStuck: (machine: Machine, error: AtollError) => void;
}

/** Asks the monitor of one machine, again and again, whether it is there. Its process may live and yet be stopped. */
export class MachineWatchdog {
  readonly #options: MachineWatchdogOptions;
  #machine: Machine | undefined;
  #cancel = () => {};

  constructor(options: MachineWatchdogOptions) {
    this.#options = options;
  }

  watch(machine: Machine): void {
    this.#cancel();
    this.#machine = machine;
    this.#schedule(machine, PING_EVERY_MS);
  }

  end(): void {
    this.#cancel();
    this.#machine = undefined;
  }

  #schedule(machine: Machine, delayMs: number, failing?: Failing): void {
    this.#cancel = this.#options.clock.schedule(delayMs, () => void this.#ask(machine, failing));
  }

  async #ask(machine: Machine, before: Failing | undefined): Promise<void> {
    const { clock, onStuck } = this.#options;
    const askedAtMs = clock.monotonic();
    let isAnswered = false;
    const answer = machine.ping().then(() => {
      isAnswered = true;
    });
    try {
      await withDeadline(answer, {
        timeoutMs: PING_TIMEOUT_MS,
        clock,
        onTimeout: () => new AtollError("vm.monitor_failed", "the monitor is silent"),
      });
      if (this.#machine === machine) this.#schedule(machine, PING_EVERY_MS);
    } catch (cause) {
      // Where this process stood still itself, the answer may lie there unread, and deadlines come first.
      await turn();
      if (this.#machine !== machine) return;
      if (isAnswered) return this.#schedule(machine, PING_EVERY_MS);
      const error = toAtollError(cause);
      // A process that is gone says so by itself, and asking on until its owner has heard would be all this process does.
      if (error.code === "vm.gone") return;
      const failing = { sinceMs: before?.sinceMs ?? askedAtMs, count: (before?.count ?? 0) + 1 };
      const isStuck = failing.count >= FAILURES_MIN && clock.monotonic() - failing.sinceMs >= STUCK_AFTER_MS;
      if (isStuck) onStuck(machine, error);
      else this.#schedule(machine, ASK_AGAIN_MS, failing);
    }
  }
}
