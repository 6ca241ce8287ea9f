import { createPrivateKey, randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { AtollError } from "@atoll/protocol/atoll-error";
import { type ClientToServer, GATEWAY_PATH, type ServerToClient } from "@atoll/protocol/gateway-events";
import { STREAMS_PER_SESSION } from "@atoll/protocol/limits";
import { Mux } from "@atoll/protocol/mux";
import { socketParser } from "@atoll/protocol/socket-parser";
import { SESSION_TICKET, TICKET_ISSUER } from "@atoll/protocol/tickets";
import { SignJWT } from "jose";
import { io, type Socket } from "socket.io-client";
import type { BenchHost } from "./bench-host.ts";

export interface BrowserSession extends Disposable {
  mux: Mux;
}

/** What a tab does: a ticket, a socket to the gateway, frames on it. */
export async function openBrowserSession(
  host: BenchHost,
  workspaceId: string,
  gatewayPort: number,
): Promise<BrowserSession> {
  const ticket = await signTicket(host, workspaceId);
  const socket: Socket<ServerToClient, ClientToServer> = io(`http://localhost:${gatewayPort}`, {
    path: GATEWAY_PATH,
    transports: ["websocket"],
    parser: socketParser,
    reconnection: false,
    auth: { ticket, tabId: randomUUID(), takeOver: true },
    extraHeaders: { origin: host.stack.webUrl },
  });
  const accepted = Promise.withResolvers<void>();
  const mux = new Mux({
    side: "client",
    send: (bytes) => {
      socket.emit("bytes", bytes);
      return true;
    },
    maxStreams: STREAMS_PER_SESSION,
    onOpen: (open) => open.refuse(new AtollError("auth.forbidden")),
    onConnectionMessage: () => accepted.resolve(),
    onFatal: (error) => accepted.reject(error),
  });
  socket.on("bytes", (chunk) => mux.receive(new Uint8Array(chunk)));
  socket.on("connect_error", (error) => accepted.reject(error));
  await accepted.promise;
  return { mux, [Symbol.dispose]: () => void socket.disconnect() };
}

async function signTicket(host: BenchHost, workspaceId: string): Promise<string> {
  const pem = await readFile(join(host.stack.layout.secrets, "ticket-private.pem"), "utf8");
  const claims = {
    ...{ workspaceId, slug: `bench-${workspaceId.slice(0, 8)}`, authSessionId: randomUUID() },
    ...{ planLabel: "Free", maxSessions: 1 },
  };
  return new SignJWT(claims)
    .setProtectedHeader({ alg: "EdDSA" })
    .setIssuer(TICKET_ISSUER)
    .setAudience(SESSION_TICKET.audience)
    .setSubject(host.ownerId)
    .setJti(randomUUID())
    .setExpirationTime("60s")
    .sign(createPrivateKey(pem));
}
