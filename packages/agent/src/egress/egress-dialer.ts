import { AtollError } from "@atoll/protocol/atoll-error";
import { openChannel } from "@atoll/protocol/call";
import { EGRESS_STREAMS_PER_WORKSPACE } from "@atoll/protocol/limits";
import { egressConnect } from "@atoll/protocol/messages/egress";
import type { Mux } from "@atoll/protocol/mux";
import type { MuxStream } from "@atoll/protocol/mux-stream";

/** Resolving and connecting at the host, before a program is told that it failed. */
const CONNECT_TIMEOUT_MS = 60_000;

/** Opens outbound connections: the host resolves, decides and connects. */
export class EgressDialer {
  readonly #mux: () => Mux | undefined;
  #open = 0;

  constructor(mux: () => Mux | undefined) {
    this.#mux = mux;
  }

  /** @throws AtollError egress.* of the host, `egress.limit_reached`, or `link.lost` while no host is there. */
  async dial(target: { host: string; port: number }, signal?: AbortSignal): Promise<MuxStream> {
    const mux = this.#mux();
    if (mux === undefined) throw new AtollError("link.lost");
    if (this.#open >= EGRESS_STREAMS_PER_WORKSPACE) {
      throw new AtollError("egress.limit_reached", undefined, {
        details: { limit: EGRESS_STREAMS_PER_WORKSPACE },
      });
    }
    this.#open++;
    try {
      const { stream } = await openChannel(mux, egressConnect, target, {
        timeoutMs: CONNECT_TIMEOUT_MS,
        signal,
      });
      void stream.closed.then(() => this.#open--);
      return stream;
    } catch (cause) {
      this.#open--;
      throw cause;
    }
  }
}
