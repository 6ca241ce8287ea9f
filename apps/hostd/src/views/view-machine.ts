import { randomBytes, randomUUID } from "node:crypto";
import type { Clock } from "@atoll/base/clock";
import { Scope } from "@atoll/base/scope";
import { AtollError } from "@atoll/protocol/atoll-error";
import { call } from "@atoll/protocol/call";
import { LINK_TOKEN_BYTES } from "@atoll/protocol/limits";
import { viewMount } from "@atoll/protocol/messages/views";
import type { Machine } from "../hypervisor/hypervisor.ts";
import { GuestLink } from "../link/guest-link.ts";
import type { WorkspaceRecord } from "../workspaces/journal/workspace-record.ts";
import type { GuestOutbound } from "../workspaces/workspace-core.ts";

const ANSWER_TIMEOUT_MS = 60_000;
/** Longer than the agent's own limit for repairing a damaged file system. */
const MOUNT_TIMEOUT_MS = 660_000;

export interface ViewMachineOptions {
  record: Pick<WorkspaceRecord, "slug" | "egress">;
  open: (signal: AbortSignal) => Promise<{ machine: Machine; linkToken: string }>;
  outbound: GuestOutbound;
  /** It ended by itself: the process, or its link for good. Not called after `close`. */
  onGone: (error: AtollError) => void;
  clock: Clock;
}

/** The machine behind a view, from its launch to its end. It has an identity of its own, so nothing of it is the workspace's. */
export class ViewMachine {
  readonly #options: ViewMachineOptions;
  readonly #scope = new Scope();
  #link: GuestLink | undefined;

  constructor(options: ViewMachineOptions) {
    this.#options = options;
  }

  /** Absent until it is ready and while its agent is away. */
  get guest(): GuestLink | undefined {
    return this.#link;
  }

  /** Resolves when the files are there to be read. @throws AtollError; the caller closes it then */
  async start(): Promise<{ isRepaired: boolean }> {
    const { open, record, outbound, clock, onGone } = this.#options;
    const { signal } = this.#scope;
    const { machine, linkToken } = await open(signal);
    // On a scope that is closing already this runs at once.
    this.#scope.defer(() => machine.kill());
    signal.throwIfAborted();
    const gone = new AbortController();
    const link = new GuestLink({
      machine,
      identity: {
        workspaceId: `view-${randomUUID()}`,
        hostname: `${record.slug}-view`.slice(0, 63),
        machineId: randomBytes(16).toString("hex"),
      },
      linkToken: randomBytes(LINK_TOKEN_BYTES).toString("hex"),
      egress: () => record.egress,
      onOpen: (incoming) => outbound.onOpen(incoming),
      onUp: () => {},
      onDown: () => {},
      onDegraded: () => {},
      onAbandoned: onGone,
      clock,
    });
    this.#scope.defer(() => link.close(new AtollError("view.unavailable", "the view was closed")));
    void machine.exited.then(({ reason, detail }) => {
      const error = new AtollError("vm.gone", `${reason}: ${detail}`);
      gone.abort(error);
      if (!this.#scope.isClosing) onGone(error);
    });
    const whileAlive = AbortSignal.any([signal, gone.signal]);
    await link.connect({
      expectedToken: linkToken,
      reason: "create",
      timeoutMs: ANSWER_TIMEOUT_MS,
      signal: whileAlive,
      beforeHandshake: () => machine.start(whileAlive),
    });
    const { mux } = link;
    if (mux === undefined) throw new AtollError("link.lost");
    const result = await call(mux, viewMount, {}, { timeoutMs: MOUNT_TIMEOUT_MS, signal: whileAlive, clock });
    this.#link = link;
    return result;
  }

  presetChanged(): void {
    this.#options.outbound.presetChanged();
  }

  /** Resolves when its process is gone, also one that was still being launched. */
  async close(): Promise<void> {
    this.#link = undefined;
    await this.#scope.close();
  }
}
