import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { AtollError } from "@atoll/protocol/atoll-error";
import { STREAMS_PER_SESSION } from "@atoll/protocol/limits";
import { Mux } from "@atoll/protocol/mux";
import { type ConnectionHello, type SessionEvent, sessionEvent } from "@atoll/protocol/session-hello";

/** The browser's end of a session, straight on hostd's link socket as the gateway would pass it. */
export class LinkClient implements AsyncDisposable {
  readonly socket: Socket;
  readonly mux: Mux;
  readonly events: SessionEvent[] = [];
  /** Resolves with hostd's reason when it ends the connection, or link.lost when the socket just closed. */
  readonly ended: Promise<AtollError>;
  #wake = () => {};

  static async connect(path: string): Promise<LinkClient> {
    const socket = connect(path);
    await once(socket, "connect");
    return new LinkClient(socket);
  }

  private constructor(socket: Socket) {
    this.socket = socket;
    const { promise, resolve } = Promise.withResolvers<AtollError>();
    this.ended = promise;
    this.mux = new Mux({
      side: "client",
      send: (bytes) => socket.write(bytes),
      // One more than allowed, so that hostd's own limit is what a test meets.
      maxStreams: STREAMS_PER_SESSION + 1,
      onOpen: (open) => open.refuse(new AtollError("internal")),
      onConnectionMessage: (message) => {
        this.events.push(sessionEvent.parse(message));
        this.#wake();
      },
      onFatal: resolve,
    });
    socket.on("drain", () => this.mux.drained());
    socket.on("data", (chunk) => this.mux.receive(chunk));
    socket.on("error", () => {});
    socket.on("close", () => {
      this.mux.lost(new AtollError("link.lost"));
      resolve(new AtollError("link.lost"));
      this.#wake();
    });
  }

  hello(hello: ConnectionHello): void {
    this.mux.sendHello(hello);
  }

  /** The first event, now or later, that `matches`; throws hostd's reason when the connection ends before. */
  async event(matches: (event: SessionEvent) => boolean): Promise<SessionEvent> {
    for (;;) {
      const found = this.events.find(matches);
      if (found !== undefined) return found;
      if (this.socket.destroyed) throw await this.ended;
      const next = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      const isOver = await Promise.race([next.then(() => false), this.ended.then(() => true)]);
      if (isOver && !this.events.some(matches)) throw await this.ended;
    }
  }

  async accepted(hello: ConnectionHello): Promise<this> {
    this.hello(hello);
    await this.event(({ type }) => type === "accepted");
    return this;
  }

  /** Resolves when a status with this state was announced and nothing newer contradicts it. */
  async state(state: string): Promise<void> {
    await this.event((event) => "status" in event && event.status.state === state);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.socket.destroyed) return;
    const closed = once(this.socket, "close");
    this.socket.destroy();
    await closed;
  }
}
