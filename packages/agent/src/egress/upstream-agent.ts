import type { ClientRequest } from "node:http";
import type { Duplex } from "node:stream";
import type { MuxStream } from "@atoll/protocol/mux-stream";
import { Agent } from "./node-http.ts";
import type { ProxyTarget } from "./proxy-target.ts";
import { StreamSocket } from "./stream-socket.ts";

/** How long an upstream connection waits for the next request to the same place. */
const KEEP_ALIVE_MS = 10_000;

/** Upstream connections of plain requests: streams of the link, kept alive per host and port like TCP ones. */
export class UpstreamAgent extends Agent {
  readonly #dial: (target: ProxyTarget) => Promise<MuxStream>;
  readonly #idle = new WeakMap<Duplex, NodeJS.Timeout>();

  constructor(dial: (target: ProxyTarget) => Promise<MuxStream>) {
    super({ keepAlive: true, maxFreeSockets: 8 });
    this.#dial = dial;
  }

  override createConnection(
    options: { host?: string | null; port?: string | number | null },
    done?: (error: Error | null, stream: Duplex) => void,
  ): undefined {
    this.#dial({ host: String(options.host), port: Number(options.port) }).then(
      (stream) => done?.(null, new StreamSocket(stream)),
      (cause: Error) => done?.(cause, undefined as unknown as Duplex),
    );
    return undefined;
  }

  override keepSocketAlive(socket: Duplex): boolean {
    this.#idle.set(
      socket,
      setTimeout(() => socket.destroy(), KEEP_ALIVE_MS),
    );
    return true;
  }

  override reuseSocket(socket: Duplex, request: ClientRequest): void {
    clearTimeout(this.#idle.get(socket));
    super.reuseSocket(socket, request);
  }
}
