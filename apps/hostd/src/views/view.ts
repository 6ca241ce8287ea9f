/**
 * One view: the machine behind it and everybody who looks through it. It begins with its first user and ends a while
 * after its last; nobody waits for more than its start.
 */
import type { Clock } from "@atoll/base/clock";
import { deferred } from "@atoll/base/deferred";
import { AtollError, toAtollError } from "@atoll/protocol/atoll-error";
import { diskError } from "../disks/disk-error.ts";
import type { GuestLink } from "../link/guest-link.ts";
import { ViewMachine, type ViewMachineOptions } from "./view-machine.ts";

/** Between a closed tab and the next, the machine waits this long. */
const LINGER_MS = 60_000;

export interface ViewOptions extends Omit<ViewMachineOptions, "onGone"> {
  workspaceId: string;
  /** Null: the disk as it lies there. */
  checkpointId: string | null;
  clock: Clock;
  /** Once, when its machine is gone. */
  onClosed: () => void;
}

/** Somebody's use of a view; released once. */
export interface ViewUse {
  /** Resolves when files can be read. */
  readonly ready: Promise<{ isRepaired: boolean }>;
  /** Absent before that, and while the link is lost. */
  readonly guest: GuestLink | undefined;
  /** Resolves with the reason when the view ended under its user. */
  readonly ended: Promise<AtollError>;
  release(): void;
}

export class View {
  readonly workspaceId: string;
  readonly checkpointId: string | null;
  readonly #options: ViewOptions;
  readonly #machine: ViewMachine;
  readonly #users = new Set<object>();
  readonly #ended = deferred<AtollError>();
  readonly #ready: Promise<{ isRepaired: boolean }>;
  #closing: Promise<void> | undefined;
  #idleSinceMs: number | undefined;
  #cancelLinger = () => {};

  constructor(options: ViewOptions) {
    this.#options = options;
    this.workspaceId = options.workspaceId;
    this.checkpointId = options.checkpointId;
    this.#machine = new ViewMachine({ ...options, onGone: (error) => void this.close(error) });
    this.#ready = this.#start();
    this.#ready.catch(() => {});
  }

  get userCount(): number {
    return this.#users.size;
  }

  get isClosing(): boolean {
    return this.#closing !== undefined;
  }

  /** Since when nobody uses it; undefined while somebody does. */
  get idleSinceMs(): number | undefined {
    return this.#idleSinceMs;
  }

  use(): ViewUse {
    const user = {};
    this.#users.add(user);
    this.#idleSinceMs = undefined;
    this.#cancelLinger();
    const machine = this.#machine;
    return {
      ready: this.#ready,
      ended: this.#ended.promise,
      get guest() {
        return machine.guest;
      },
      release: () => {
        if (!this.#users.delete(user) || this.#users.size > 0) return;
        const { clock } = this.#options;
        this.#idleSinceMs = clock.monotonic();
        this.#cancelLinger = clock.schedule(
          LINGER_MS,
          () => void this.close(new AtollError("view.unavailable", "nobody looked at it")),
        );
      },
    };
  }

  presetChanged(): void {
    this.#machine.presetChanged();
  }

  /** Its users see `error`. Resolves when the machine is gone; safe to call many times. */
  close(error: AtollError): Promise<void> {
    this.#closing ??= this.#close(error);
    return this.#closing;
  }

  async #start(): Promise<{ isRepaired: boolean }> {
    try {
      return await this.#machine.start();
    } catch (cause) {
      // Closed from outside it failed because of that.
      const error = this.isClosing ? await this.#ended.promise : toAtollError(diskError(cause));
      void this.close(error);
      throw error;
    }
  }

  async #close(error: AtollError): Promise<void> {
    this.#cancelLinger();
    this.#ended.resolve(error);
    try {
      await this.#machine.close();
      // A launch under way hears of the end by its signal and leaves nothing when it settles.
      await this.#ready.catch(() => {});
    } finally {
      this.#options.onClosed();
    }
  }
}
