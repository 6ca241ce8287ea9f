import { createPrivateKey, randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { AtollError } from "@atoll/protocol/atoll-error";
import {
  type ClientToServer,
  GATEWAY_PATH,
  refusal,
  type ServerToClient,
} from "@atoll/protocol/gateway-events";
import { STREAMS_PER_SESSION } from "@atoll/protocol/limits";
import { Mux } from "@atoll/protocol/mux";
import { type SessionCommand, sessionEvent } from "@atoll/protocol/session-hello";
import { socketParser } from "@atoll/protocol/socket-parser";
import { SESSION_TICKET, TICKET_ISSUER } from "@atoll/protocol/tickets";
import type { WorkspaceStatus } from "@atoll/protocol/workspace-status";
import { SignJWT } from "jose";
import { io, type Socket } from "socket.io-client";
import type { Stack } from "../scripts/start/stack.ts";

export interface BrowserSession extends Disposable {
  readonly mux: Mux;
  /** As last announced to this tab. */
  readonly status: WorkspaceStatus;
  /** False once anything on the way ended it; it does not come back. */
  readonly isOpen: boolean;
  send(command: SessionCommand): void;
  /** Codes of what this tab was told since it was last asked. */
  takeNotices(): string[];
}

export interface SessionOwner {
  stack: Pick<Stack, "layout" | "webUrl">;
  ownerId: string;
}

const ACCEPT_TIMEOUT_MS = 15_000;
const NOTICES_MAX = 100;

/**
 * What a tab does: a ticket, a socket to the gateway, frames on it.
 * @throws AtollError as it was refused, link.lost, request.timeout
 */
export async function openBrowserSession(
  owner: SessionOwner,
  workspaceId: string,
  gatewayPort: number,
  options: { maxSessions?: number } = {},
): Promise<BrowserSession> {
  const ticket = await signTicket(owner, workspaceId, options.maxSessions ?? 1);
  const socket: Socket<ServerToClient, ClientToServer> = io(`http://localhost:${gatewayPort}`, {
    path: GATEWAY_PATH,
    transports: ["websocket"],
    parser: socketParser,
    reconnection: false,
    timeout: ACCEPT_TIMEOUT_MS,
    auth: { ticket, tabId: randomUUID(), takeOver: true },
    extraHeaders: { origin: owner.stack.webUrl },
  });
  const accepted = Promise.withResolvers<WorkspaceStatus>();
  let status: WorkspaceStatus | undefined;
  let isOpen = false;
  const notices: string[] = [];
  const mux = new Mux({
    side: "client",
    send: (bytes) => {
      socket.emit("bytes", bytes);
      return true;
    },
    maxStreams: STREAMS_PER_SESSION,
    onOpen: (open) => open.refuse(new AtollError("auth.forbidden")),
    onConnectionMessage: (message) => {
      const event = sessionEvent.parse(message);
      if (event.type === "notice") {
        // Bounded: whoever never asks does not want to know.
        if (notices.length < NOTICES_MAX) notices.push(event.code);
        return;
      }
      status = event.status;
      isOpen = true;
      accepted.resolve(status);
    },
    onFatal: (error) => {
      accepted.reject(error);
      socket.disconnect();
    },
  });
  socket.on("bytes", (chunk) => mux.receive(new Uint8Array(chunk)));
  socket.on("connect_error", (error) => accepted.reject(connectError(error)));
  socket.on("disconnect", () => {
    isOpen = false;
    const lost = new AtollError("link.lost");
    accepted.reject(lost);
    mux.lost(lost);
  });
  const timer = setTimeout(() => accepted.reject(new AtollError("request.timeout")), ACCEPT_TIMEOUT_MS);
  try {
    const first = await accepted.promise;
    return {
      mux,
      get status() {
        return status ?? first;
      },
      get isOpen() {
        return isOpen;
      },
      send: (command) => mux.sendConnectionEvent(command),
      takeNotices: () => notices.splice(0),
      [Symbol.dispose]: () => void socket.disconnect(),
    };
  } catch (error) {
    socket.disconnect();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** The gateway's refusal travels as data; anything else never got there. */
function connectError(error: Error & { data?: unknown }): AtollError {
  const refused = refusal.safeParse(error.data);
  if (refused.success) return AtollError.fromWire(refused.data);
  return new AtollError("link.lost", "the gateway did not take the connection", { cause: error });
}

async function signTicket(
  { stack, ownerId }: SessionOwner,
  workspaceId: string,
  maxSessions: number,
): Promise<string> {
  const pem = await readFile(join(stack.layout.secrets, "ticket-private.pem"), "utf8");
  const slug = `tab-${workspaceId.slice(0, 8)}`;
  const claims = { workspaceId, slug, authSessionId: randomUUID(), planLabel: "Free", maxSessions };
  return new SignJWT(claims)
    .setProtectedHeader({ alg: "EdDSA" })
    .setIssuer(TICKET_ISSUER)
    .setAudience(SESSION_TICKET.audience)
    .setSubject(ownerId)
    .setJti(randomUUID())
    .setExpirationTime("60s")
    .sign(createPrivateKey(pem));
}
