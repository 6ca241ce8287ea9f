/**
 * hostd's side of the link socket, for tests of the gateway alone: the real wire, and the machine's own loopback in
 * place of a guest's. What it accepted and saw is there to be looked at.
 */
import { randomUUID } from "node:crypto";
import { createConnection, createServer, type Server, type Socket } from "node:net";
import { AtollError } from "@atoll/protocol/atoll-error";
import { STREAMS_PER_LINK } from "@atoll/protocol/limits";
import { portsConnect } from "@atoll/protocol/messages/ports";
import { type IncomingOpen, Mux } from "@atoll/protocol/mux";
import type { MuxStream } from "@atoll/protocol/mux-stream";
import { type ConnectionHello, connectionHello } from "@atoll/protocol/session-hello";
import type { WorkspaceState } from "@atoll/protocol/workspace-status";

export interface StandInConnection {
  hello: ConnectionHello;
  mux: Mux;
  socket: Socket;
}

export class HostdStandIn implements AsyncDisposable {
  readonly path: string;
  readonly connections: StandInConnection[] = [];
  /** Ports that connects asked for, in order. */
  readonly dialled: number[] = [];
  /** Why the next connections are refused. */
  refusal: AtollError | undefined;
  state: WorkspaceState = "running";
  /** Called when a stream wants a port while the workspace rests; resolves when it runs. */
  wake: () => Promise<void> = async () => {};
  /** Streams of a session, by default echoed. */
  onSessionOpen: (open: IncomingOpen) => void = (open) => void echo(open.accept());
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #accepted = 0;

  private constructor(path: string, server: Server) {
    this.path = path;
    this.#server = server;
  }

  static async listen(path: string): Promise<HostdStandIn> {
    const server = createServer();
    const standIn = new HostdStandIn(path, server);
    server.on("connection", (socket) => standIn.#serve(socket));
    await new Promise<void>((resolve) => server.listen(path, resolve));
    return standIn;
  }

  /** Raw connections, with or without a hello. */
  get acceptedCount(): number {
    return this.#accepted;
  }

  get openCount(): number {
    return this.#sockets.size;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #serve(socket: Socket): void {
    this.#accepted += 1;
    this.#sockets.add(socket);
    socket.on("error", () => {});
    let caller: ConnectionHello["type"] | undefined;
    const mux = new Mux({
      side: "server",
      maxStreams: STREAMS_PER_LINK,
      send: (bytes) => socket.write(bytes),
      onOpen: (open) => {
        if (caller === "preview") void this.#connectPort(open);
        else this.onSessionOpen(open);
      },
      onConnectionMessage: (message) => {
        if (caller !== undefined) return;
        const hello = connectionHello.parse(message);
        caller = hello.type;
        this.#welcome({ hello, mux, socket });
      },
      onFatal: () => socket.destroySoon(),
    });
    socket.on("data", (chunk) => mux.receive(chunk));
    socket.on("drain", () => mux.drained());
    socket.on("close", () => {
      this.#sockets.delete(socket);
      mux.lost(new AtollError("link.lost"));
    });
  }

  #welcome(connection: StandInConnection): void {
    this.connections.push(connection);
    if (this.refusal) {
      connection.mux.close(this.refusal);
      connection.socket.destroySoon();
      return;
    }
    const { hello } = connection;
    const isPreview = hello.type === "preview";
    connection.mux.sendConnectionEvent({
      type: "accepted",
      sessionId: randomUUID(),
      status: {
        workspaceId: isPreview ? hello.workspaceId : randomUUID(),
        ownerId: isPreview ? hello.userId : randomUUID(),
        state: this.state,
        reason: "requested",
        sinceMs: Date.now(),
        generation: 1,
        sessionCount: 1,
        isolation: "emulated",
        egress: "off",
      },
    });
  }

  async #connectPort(open: IncomingOpen): Promise<void> {
    const { port } = portsConnect.params.parse(open.params);
    this.dialled.push(port);
    if (this.state !== "running") await this.wake();
    const server = createConnection({ port, host: "127.0.0.1", allowHalfOpen: true });
    const refuse = () => open.refuse(new AtollError("port.nothing_listening"));
    server.once("error", refuse);
    server.once("connect", () => {
      server.removeListener("error", refuse);
      server.on("error", () => stream.reset());
      const stream = open.accept();
      stream.sendReply({});
      void pump(stream, server);
    });
  }
}

/** Both ways until both ended, with backpressure. */
async function pump(stream: MuxStream, server: Socket): Promise<void> {
  void stream.closed.then((error) => error && server.destroy());
  const down = (async () => {
    for await (const chunk of server) await stream.write(chunk as Buffer);
    stream.end();
  })();
  const up = (async () => {
    for await (const item of stream) {
      if (item.kind === "data" && !server.write(item.bytes)) {
        await new Promise((resolve) => server.once("drain", resolve).once("close", resolve));
      }
    }
    server.end();
  })();
  await Promise.allSettled([down, up]);
}

async function echo(stream: MuxStream): Promise<void> {
  stream.sendReply({});
  try {
    for await (const item of stream) if (item.kind === "data") await stream.write(item.bytes);
    stream.end();
  } catch {
    // The browser is gone.
  }
}
