import { createServer, type Server } from "node:net";
import { AtollError } from "@atoll/protocol/atoll-error";
import { listenOnUnixSocket } from "../api/listen-on-unix-socket.ts";
import { LinkConnection, type LinkConnectionOptions } from "./link-connection.ts";

/** More than any plan's tabs on one machine add up to. */
const CONNECTIONS_MAX = 10_000;

/** Accepts the gateway on a Unix socket that only this uid may open. */
export class LinkSocketServer implements AsyncDisposable {
  readonly #server: Server;
  readonly #connections = new Set<LinkConnection>();

  constructor(options: Omit<LinkConnectionOptions, "socket" | "onClosed">) {
    this.#server = createServer({ allowHalfOpen: true }, (socket) => {
      const connection: LinkConnection = new LinkConnection({
        ...options,
        socket,
        onClosed: () => this.#connections.delete(connection),
      });
      this.#connections.add(connection);
    });
    this.#server.maxConnections = CONNECTIONS_MAX;
  }

  listen(path: string): Promise<void> {
    return listenOnUnixSocket(this.#server, path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const connection of [...this.#connections]) connection.end(new AtollError("host.draining"));
    await closed;
  }
}
