import { AtollError } from "@atoll/protocol/atoll-error";
import {
  type ClientToServer,
  GATEWAY_PATH,
  refusal,
  type ServerToClient,
  type SocketAuth,
} from "@atoll/protocol/gateway-events";
import { socketParser } from "@atoll/protocol/socket-parser";
import { io, type Socket } from "socket.io-client";
import type { OpenTransport } from "./session-transport.ts";

const CONNECT_TIMEOUT_MS = 15_000;
/** Messages the engine may hold before the mux is told to wait. */
const HIGH_MARK_MESSAGES = 64;

/** WebSocket only, one attempt: when to try again is the connection's decision. */
export function socketTransport(gatewayUrl: string): OpenTransport {
  return (auth, events) => {
    let isOver = false;
    let told: AtollError | undefined;
    const over = (error: AtollError) => {
      if (isOver) return;
      isOver = true;
      socket.disconnect();
      events.onClosed(told ?? error);
    };
    const socket: Socket<ServerToClient, ClientToServer> = io(gatewayUrl, {
      path: GATEWAY_PATH,
      transports: ["websocket"],
      parser: socketParser,
      reconnection: false,
      forceNew: true,
      timeout: CONNECT_TIMEOUT_MS,
      auth: (give) => {
        auth().then(
          (value: SocketAuth) => give(value),
          (error: unknown) => over(AtollError.fromWire(error instanceof AtollError ? error.toWire() : error)),
        );
      },
    });
    socket.on("connect", () => {
      socket.io.engine.on("drain", () => events.onDrain());
    });
    socket.on("bytes", (chunk) => {
      if (!isOver) events.onBytes(new Uint8Array(chunk));
    });
    socket.on("refused", (value) => {
      told = AtollError.fromWire(refusal.safeParse(value).data);
    });
    socket.on("connect_error", (error) => {
      const data = "data" in error ? error.data : undefined;
      const refused = refusal.safeParse(data);
      over(refused.success ? AtollError.fromWire(refused.data) : new AtollError("link.lost", error.message));
    });
    socket.on("disconnect", (reason) => over(new AtollError("link.lost", reason)));
    return {
      send(bytes) {
        socket.emit("bytes", bytes);
        return socket.io.engine.writeBuffer.length < HIGH_MARK_MESSAGES;
      },
      close() {
        isOver = true;
        socket.disconnect();
      },
    };
  };
}
