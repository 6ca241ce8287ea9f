import { randomUUID } from "node:crypto";
import { AtollError } from "@atoll/protocol/atoll-error";
import { GATEWAY_PATH, type Refusal, type SocketAuth } from "@atoll/protocol/gateway-events";
import { STREAMS_PER_SESSION } from "@atoll/protocol/limits";
import { Mux } from "@atoll/protocol/mux";
import { socketParser } from "@atoll/protocol/socket-parser";
import { io, type Socket } from "socket.io-client";
import { WEB_ORIGIN } from "./test-gateway.ts";

export interface TabOptions {
  port: number;
  auth: Partial<SocketAuth>;
  headers?: Record<string, string>;
}

/** A browser tab: Socket.IO's own client, as web configures it, with a mux on top. */
export class BrowserTab implements Disposable {
  readonly socket: Socket;
  readonly mux: Mux;
  /** Stream 0. */
  readonly messages: unknown[] = [];
  readonly refusals: Refusal[] = [];
  fatal: AtollError | undefined;

  constructor(options: TabOptions) {
    this.socket = io(`http://localhost:${options.port}`, {
      path: GATEWAY_PATH,
      transports: ["websocket"],
      parser: socketParser,
      reconnection: false,
      forceNew: true,
      auth: { tabId: randomUUID(), ...options.auth },
      extraHeaders: { origin: WEB_ORIGIN, ...options.headers },
    });
    this.mux = new Mux({
      side: "client",
      maxStreams: STREAMS_PER_SESSION,
      send: (bytes) => {
        this.socket.emit("bytes", bytes);
        return true;
      },
      onOpen: (open) => open.refuse(new AtollError("request.unknown")),
      onConnectionMessage: (message) => this.messages.push(message),
      onFatal: (error) => {
        this.fatal = error;
      },
    });
    this.socket.on("bytes", (chunk: Uint8Array) => this.mux.receive(chunk));
    this.socket.on("refused", (refusal: Refusal) => this.refusals.push(refusal));
  }

  /** Rejects with the refusal's data, or the transport's error. */
  connected(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.socket.once("connect", () => resolve());
      this.socket.once("connect_error", (error: Error & { data?: unknown }) => reject(error.data ?? error));
    });
  }

  disconnected(): Promise<string> {
    return new Promise((resolve) => this.socket.once("disconnect", resolve));
  }

  [Symbol.dispose](): void {
    this.socket.disconnect();
  }
}
