/** Answers `egress.connect` of one guest: policy, name, address, dial, bytes. The only way out of a workspace. */

import type { Clock } from "@atoll/base/clock";
import { LimitedTurns } from "@atoll/base/limited-turns";
import { AtollError, toAtollError } from "@atoll/protocol/atoll-error";
import { Dispatcher } from "@atoll/protocol/dispatcher";
import { EGRESS_STREAMS_PER_WORKSPACE } from "@atoll/protocol/limits";
import { type EgressPreset, egressConnect } from "@atoll/protocol/messages/egress";
import type { IncomingOpen } from "@atoll/protocol/mux";
import type { MuxStream } from "@atoll/protocol/mux-stream";
import type { Logger } from "pino";
import type { GuestOutbound } from "../workspaces/workspace-core.ts";
import { type DialPublicOptions, dialPublic } from "./dial-public.ts";
import { type EgressTarget, isAllowedByPreset, parseTarget } from "./egress-policy.ts";
import { joinStream } from "./join-stream.ts";
import type { ResolveHost } from "./resolve-host.ts";

/** Look-ups of one workspace at the same time; further ones wait. Names that answer take milliseconds. */
const LOOKUPS_AT_ONCE = 16;

export interface WorkspaceEgressOptions {
  workspaceId: string;
  preset: () => EgressPreset;
  /** Hosts that the image's own package tools name. */
  packageHosts: () => ReadonlySet<string>;
  resolve: ResolveHost;
  clock: Clock;
  logger: Logger;
  connect?: DialPublicOptions["connect"];
  isOwn?: DialPublicOptions["isOwn"];
  /** Called for everything that passes, either way. */
  onBytes?: (count: number) => void;
}

export class WorkspaceEgress implements GuestOutbound {
  readonly counters = { sentBytes: 0, receivedBytes: 0 };
  readonly #options: WorkspaceEgressOptions;
  readonly #dispatcher: Dispatcher;
  readonly #lookups = new LimitedTurns({ atOnce: LOOKUPS_AT_ONCE });
  readonly #live = new Map<MuxStream, { target: EgressTarget; abort: AbortController }>();

  constructor(options: WorkspaceEgressOptions) {
    this.#options = options;
    this.#dispatcher = new Dispatcher((error, name) =>
      options.logger.error({ workspaceId: options.workspaceId, name, err: error }, "outbound handler failed"),
    );
    this.#dispatcher.onChannel(egressConnect, (params, stream) =>
      this.#connect(params.host, params.port, stream),
    );
  }

  get connectionCount(): number {
    return this.#live.size;
  }

  onOpen(open: IncomingOpen): void {
    this.#dispatcher.dispatch(open, "guest");
  }

  presetChanged(): void {
    for (const { target, abort } of this.#live.values()) {
      if (!this.#isAllowed(target)) abort.abort(new AtollError("egress.denied"));
    }
  }

  async #connect(host: string, port: number, stream: MuxStream): Promise<void> {
    const target = parseTarget(host, port);
    if (!this.#isAllowed(target)) throw new AtollError("egress.denied");
    if (this.#live.size >= EGRESS_STREAMS_PER_WORKSPACE) {
      throw new AtollError("egress.limit_reached", undefined, {
        details: { limit: EGRESS_STREAMS_PER_WORKSPACE },
      });
    }
    const abort = new AbortController();
    this.#live.set(stream, { target, abort });
    void stream.closed.then((error) => {
      if (error !== undefined) abort.abort(error);
    });
    try {
      const { workspaceId, resolve, clock, connect, isOwn } = this.#options;
      const socket = await dialPublic(target, {
        resolve: (name, signal) => this.#lookups.run(workspaceId, signal, () => resolve(name, signal)),
        clock,
        signal: abort.signal,
        ...(connect && { connect }),
        ...(isOwn && { isOwn }),
      });
      const cut = () => {
        stream.reset(toAtollError(abort.signal.reason));
        socket.destroy();
      };
      abort.signal.addEventListener("abort", cut, { once: true });
      if (abort.signal.aborted) cut();
      stream.sendReply({});
      await joinStream(stream, socket, (direction, count) => this.#count(direction, count));
    } finally {
      this.#live.delete(stream);
    }
  }

  #count(direction: "sent" | "received", count: number): void {
    if (direction === "sent") this.counters.sentBytes += count;
    else this.counters.receivedBytes += count;
    this.#options.onBytes?.(count);
  }

  #isAllowed(target: EgressTarget): boolean {
    return isAllowedByPreset(target, this.#options.preset(), this.#options.packageHosts());
  }
}
