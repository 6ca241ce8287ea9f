import { chmodSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import type { BytePipe, ListenToPipe } from "./byte-pipe.ts";

/** One accepted connection of the vsock transport: it has one host, and ends with it. */
class SocketPipe implements BytePipe {
  readonly canReturn = false;
  readonly #socket: Socket;

  constructor(socket: Socket, listen: ListenToPipe) {
    this.#socket = socket;
    const listener = listen(this);
    socket.on("data", (chunk) => listener.onBytes(chunk));
    socket.on("drain", () => listener.onDrain());
    socket.on("error", () => socket.destroy());
    socket.on("close", () => listener.onDisconnect());
  }

  write(bytes: Uint8Array): boolean {
    return this.#socket.destroyed || this.#socket.write(bytes.slice());
  }

  /** A socket's queue dies with it: there is no second host to keep it from. */
  discard(): void {}

  close(): void {
    this.#socket.destroy();
  }
}

/** Listens where socat brings vsock connections. Only root may connect. */
export function listenForPipes(path: string, listen: ListenToPipe): Server {
  rmSync(path, { force: true });
  const server = createServer({ noDelay: true }, (socket) => void new SocketPipe(socket, listen));
  server.maxConnections = 8;
  server.listen(path, () => chmodSync(path, 0o600));
  return server;
}
