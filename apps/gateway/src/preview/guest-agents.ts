import { Agent, type ClientRequestArgs } from "node:http";
import type { Duplex } from "node:stream";
import type { PreviewConnection } from "./preview-connection.ts";
import { GUEST_IDLE_SOCKETS_MAX, GUEST_KEEP_ALIVE_MS, GUEST_READ_SOCKETS_MAX } from "./preview-limits.ts";

type OnSocket = (error: Error | null, socket: Duplex) => void;

/** An http.Agent whose sockets are streams to one port of one guest; the only place it can ever dial. */
class GuestAgent extends Agent {
  readonly #dial: (done: OnSocket) => void;

  constructor(dial: (done: OnSocket) => void) {
    super({
      keepAlive: true,
      timeout: GUEST_KEEP_ALIVE_MS,
      maxSockets: GUEST_READ_SOCKETS_MAX,
      maxFreeSockets: GUEST_IDLE_SOCKETS_MAX,
    });
    this.#dial = dial;
  }

  override createConnection(_options: ClientRequestArgs, done?: OnSocket): undefined {
    if (done) this.#dial(done);
  }
}

/**
 * Connections to the ports of one guest: kept and used again for reads, fresh for everything else. Kept ones end
 * with their streams when the connection to hostd does.
 */
export class GuestAgents {
  readonly #connection: PreviewConnection;
  readonly #byPort = new Map<number, GuestAgent>();

  constructor(connection: PreviewConnection) {
    this.#connection = connection;
  }

  /** Only for requests that may be sent again when a kept connection turns out to be closed. */
  reusing(port: number): Agent {
    let agent = this.#byPort.get(port);
    if (agent === undefined) {
      agent = new GuestAgent((done) => this.dial(port, done));
      this.#byPort.set(port, agent);
    }
    return agent;
  }

  dial(port: number, done: OnSocket): void {
    this.#connection.openPort(port).then(
      (socket) => done(null, socket),
      // Node ignores the second argument beside an error, but declares it.
      (error: Error) => done(error, undefined as never),
    );
  }
}
