import { createPrivateKey, randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { AtollError } from "@atoll/protocol/atoll-error";
import { openChannel } from "@atoll/protocol/call";
import { type ClientToServer, GATEWAY_PATH, type ServerToClient } from "@atoll/protocol/gateway-events";
import { STREAMS_PER_SESSION } from "@atoll/protocol/limits";
import { processRun } from "@atoll/protocol/messages/process";
import { Mux } from "@atoll/protocol/mux";
import { socketParser } from "@atoll/protocol/socket-parser";
import { SESSION_TICKET, TICKET_ISSUER } from "@atoll/protocol/tickets";
import { SignJWT } from "jose";
import { io, type Socket } from "socket.io-client";
import type { Stack } from "../scripts/start/stack.ts";

export interface SessionTarget {
  stack: Stack;
  gatewayPort: number;
  ownerId: string;
  workspaceId: string;
  slug: string;
}

const CONNECT_TIMEOUT_MS = 10_000;
const RUN_TIMEOUT_MS = 20_000;

/** A browser tab's connection through the gateway. Ends for good when anything on the way does. */
export class ChaosSession implements Disposable {
  readonly mux: Mux;
  readonly #socket: Socket<ServerToClient, ClientToServer>;

  static async open(target: SessionTarget): Promise<ChaosSession> {
    const ticket = await signTicket(target);
    const socket: Socket<ServerToClient, ClientToServer> = io(`http://localhost:${target.gatewayPort}`, {
      path: GATEWAY_PATH,
      transports: ["websocket"],
      parser: socketParser,
      reconnection: false,
      timeout: CONNECT_TIMEOUT_MS,
      auth: { ticket, tabId: randomUUID(), takeOver: true },
      extraHeaders: { origin: target.stack.webUrl },
    });
    const accepted = Promise.withResolvers<void>();
    const session = new ChaosSession(socket, () => accepted.resolve());
    socket.on("connect_error", (error) => accepted.reject(error));
    socket.on("disconnect", () => accepted.reject(new AtollError("link.lost")));
    const timer = setTimeout(() => accepted.reject(new AtollError("request.timeout")), CONNECT_TIMEOUT_MS);
    try {
      await accepted.promise;
      return session;
    } catch (error) {
      session[Symbol.dispose]();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  private constructor(socket: Socket<ServerToClient, ClientToServer>, onAccepted: () => void) {
    this.#socket = socket;
    this.mux = new Mux({
      side: "client",
      send: (bytes) => {
        socket.emit("bytes", bytes);
        return true;
      },
      maxStreams: STREAMS_PER_SESSION,
      onOpen: (open) => open.refuse(new AtollError("auth.forbidden")),
      onConnectionMessage: onAccepted,
      onFatal: () => socket.disconnect(),
    });
    socket.on("bytes", (chunk) => this.mux.receive(new Uint8Array(chunk)));
    socket.on("disconnect", () => this.mux.lost(new AtollError("link.lost")));
  }

  /** Standard output of a program that ended well. */
  async run(...argv: string[]): Promise<string> {
    const options = { timeoutMs: RUN_TIMEOUT_MS };
    const channel = await openChannel(this.mux, processRun, { argv, timeoutMs: RUN_TIMEOUT_MS }, options);
    channel.stream.end();
    let output = "";
    let exitCode: number | null = null;
    for await (const item of channel.items()) {
      if (item.kind === "data") output += Buffer.from(item.bytes).toString("utf8");
      else exitCode = item.value.exitCode;
    }
    if (exitCode !== 0) throw new Error(`${argv.join(" ")} ended with ${exitCode}: ${output.slice(-500)}`);
    return output.trim();
  }

  [Symbol.dispose](): void {
    this.#socket.disconnect();
  }
}

async function signTicket({ stack, ownerId, workspaceId, slug }: SessionTarget): Promise<string> {
  const pem = await readFile(join(stack.layout.secrets, "ticket-private.pem"), "utf8");
  const claims = { workspaceId, slug, authSessionId: randomUUID(), planLabel: "Free", maxSessions: 1 };
  return new SignJWT(claims)
    .setProtectedHeader({ alg: "EdDSA" })
    .setIssuer(TICKET_ISSUER)
    .setAudience(SESSION_TICKET.audience)
    .setSubject(ownerId)
    .setJti(randomUUID())
    .setExpirationTime("60s")
    .sign(createPrivateKey(pem));
}
