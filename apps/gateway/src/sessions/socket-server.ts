/** Socket.IO of the session sockets: who gets in, and a bridge to hostd for each that does. */
import type { Server as HttpServer, IncomingMessage } from "node:http";
import type { Socket as NetSocket } from "node:net";
import type { Clock } from "@atoll/base/clock";
import type { Scope } from "@atoll/base/scope";
import { AtollError, toAtollError } from "@atoll/protocol/atoll-error";
import {
  type ClientToServer,
  GATEWAY_PATH,
  type ServerToClient,
  socketAuth,
} from "@atoll/protocol/gateway-events";
import { SOCKET_MESSAGE_MAX_BYTES } from "@atoll/protocol/limits";
import { socketParser } from "@atoll/protocol/socket-parser";
import type { Logger } from "pino";
import { Server } from "socket.io";
import { connectHostd } from "../hostd/connect-hostd.ts";
import type { LastResort } from "../last-resort.ts";
import type { TicketVerifier } from "../tickets/ticket-verifier.ts";
import type { BrowserGate } from "./browser-gate.ts";
import { type BrowserSocket, SessionBridge } from "./session-bridge.ts";
import {
  CONNECT_TIMEOUT_MS,
  PING_INTERVAL_MS,
  PING_TIMEOUT_MS,
  SOCKETS_MAX,
  SOCKETS_PER_USER,
} from "./session-limits.ts";
import { SocketCensus } from "./socket-census.ts";

export interface SocketServerOptions {
  http: HttpServer;
  gate: BrowserGate;
  tickets: TicketVerifier;
  linkSocketPath: string;
  clock: Clock;
  log: Logger;
  lastResort: LastResort;
  scope: Scope;
  limits?: { total: number; perUser: number };
}

type EngineSocket = BrowserSocket["conn"];

/**
 * Binary messages go from Engine.IO straight to the bridge: Socket.IO would hand each on two ticks later, and drop
 * those that a disconnect follows within the same read.
 */
class TextDecoder extends socketParser.Decoder {
  override add(chunk: unknown): void {
    if (typeof chunk === "string") super.add(chunk);
  }
}

export function attachSocketServer(options: SocketServerOptions): SocketCensus {
  const { gate, log, scope } = options;
  const census = new SocketCensus(options.limits ?? { total: SOCKETS_MAX, perUser: SOCKETS_PER_USER });
  const io = new Server<ClientToServer, ServerToClient>({
    path: GATEWAY_PATH,
    transports: ["websocket"],
    parser: { ...socketParser, Decoder: TextDecoder },
    serveClient: false,
    perMessageDeflate: false,
    httpCompression: false,
    maxHttpBufferSize: SOCKET_MESSAGE_MAX_BYTES,
    connectTimeout: CONNECT_TIMEOUT_MS,
    pingInterval: PING_INTERVAL_MS,
    pingTimeout: PING_TIMEOUT_MS,
    allowRequest(request: IncomingMessage, decide) {
      const refusal = gate.refusalOf(request);
      if (refusal !== undefined)
        log.info({ refusal, origin: request.headers.origin?.slice(0, 100) }, "socket refused");
      decide(refusal ?? null, refusal === undefined);
    },
  });
  io.attach(options.http);
  scope.defer(() => closeAll(io));
  const tried = new WeakSet<EngineSocket>();
  const admitted = new WeakMap<EngineSocket, NetSocket>();
  const bridges = new WeakMap<EngineSocket, SessionBridge>();

  io.engine.on("connection", (engine: EngineSocket) => {
    engine.on("packet", () => options.lastResort.suspect(() => engine.close(true)));
    engine.on("error", () => {});
    engine.on("data", (data: unknown) => {
      if (!Buffer.isBuffer(data)) return;
      const bridge = bridges.get(engine);
      // Bytes before the connect was answered: not a client of ours.
      if (bridge === undefined) engine.close(true);
      else bridge.receive(data);
    });
  });
  io.use(async (browser, next) => {
    const engine = browser.conn;
    try {
      // One attempt for each WebSocket: a wrong ticket costs its sender a new connection.
      if (tried.has(engine)) throw new AtollError("request.invalid", "second connect on one socket");
      tried.add(engine);
      admitted.set(engine, await admit(browser, options, census));
      next();
    } catch (cause) {
      const error = toAtollError(cause);
      const level = error.code === "internal" ? "error" : "info";
      log[level]({ code: error.code, err: error.cause }, "connect refused");
      next(Object.assign(new Error(error.code), { data: error.toWire() }));
      // After the answer has left.
      setImmediate(() => engine.close());
    }
  });
  io.on("connection", (browser) => {
    const engine = browser.conn;
    const hostd = admitted.get(engine);
    if (hostd === undefined) return engine.close(true);
    const bridge = new SessionBridge({ browser, hostd, clock: options.clock });
    bridges.set(engine, bridge);
    // Browsers send bytes only.
    browser.use(() => bridge.refuse(new AtollError("request.invalid", "event")));
  });
  return census;
}

/** Everything that can fail before a browser counts as connected. What it opened ends with the WebSocket. */
async function admit(
  browser: BrowserSocket,
  options: SocketServerOptions,
  census: SocketCensus,
): Promise<NetSocket> {
  const auth = socketAuth.safeParse(browser.handshake.auth);
  if (!auth.success) throw new AtollError("request.invalid", "handshake", { cause: auth.error });
  const { ticket, tabId, takeOver } = auth.data;
  const claims = await options.tickets.session(ticket);
  const engine = browser.conn;
  if (engine.readyState !== "open") throw new AtollError("request.aborted");
  engine.once("close", census.admit(claims.sub));
  const gone = new AbortController();
  engine.once("close", () => gone.abort(new AtollError("request.aborted")));
  const hostd = await connectHostd({
    socketPath: options.linkSocketPath,
    hello: { type: "session", ticket, tabId, takeOver },
    signal: gone.signal,
  });
  // The WebSocket may close before Socket.IO announces the connection and a bridge takes over.
  hostd.on("error", () => {});
  engine.once("close", () => hostd.destroySoon());
  return hostd;
}

/** Browsers see a lost transport, not a refusal, and reconnect by themselves. */
async function closeAll(io: Server): Promise<void> {
  for (const browser of io.sockets.sockets.values()) browser.conn.close();
  io.engine.close();
}
