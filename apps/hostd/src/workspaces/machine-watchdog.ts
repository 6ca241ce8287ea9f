import type { Clock } from "@atoll/base/clock";
import { withDeadline } from "@atoll/base/with-deadline";
import { AtollError, toAtollError } from "@atoll/protocol/atoll-error";
import type { Machine } from "../hypervisor/hypervisor.ts";

const PING_EVERY_MS = 5000;
/** Before it is asked once more: a process may be stopped for a moment. */
const ASK_AGAIN_MS = 1000;
/** The driver has a shorter one of its own; this is for a driver that hangs as a whole. */
const PING_TIMEOUT_MS = 10_000;
/** A host that was asleep or stalled itself is not the machine's fault. */
const FAILURES_MAX = 2;

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
    this.#schedule(machine, 0);
  }

  end(): void {
    this.#cancel();
    this.#machine = undefined;
  }

  #schedule(machine: Machine, failureCount: number): void {
    const delayMs = failureCount === 0 ? PING_EVERY_MS : ASK_AGAIN_MS;
    this.#cancel = this.#options.clock.schedule(delayMs, () => void this.#ask(machine, failureCount));
  }

  async #ask(machine: Machine, failureCount: number): Promise<void> {
    const { clock, onStuck } = this.#options;
    try {
      await withDeadline(machine.ping(), {
        timeoutMs: PING_TIMEOUT_MS,
        clock,
        onTimeout: () => new AtollError("vm.monitor_failed", "the monitor is silent"),
      });
      if (this.#machine === machine) this.#schedule(machine, 0);
    } catch (cause) {
      if (this.#machine !== machine) return;
      const error = toAtollError(cause);
      // A process that is gone says so by itself, and asking on until its owner has heard would be all this process does.
      if (error.code === "vm.gone") return;
      if (failureCount + 1 < FAILURES_MAX) this.#schedule(machine, failureCount + 1);
      else onStuck(machine, error);
    }
  }
}
