/** Socket.IO of the session sockets: who gets in, and a bridge to hostd for each that does. */
import type { Server as HttpServer, IncomingMessage } from "node:http";
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

export function attachSocketServer(options: SocketServerOptions): SocketCensus {
  const { gate, log, scope } = options;
  const census = new SocketCensus(options.limits ?? { total: SOCKETS_MAX, perUser: SOCKETS_PER_USER });
  const io = new Server<ClientToServer, ServerToClient>({
    path: GATEWAY_PATH,
    transports: ["websocket"],
    parser: socketParser,
    serveClient: false,
    perMessageDeflate: false,
    httpCompression: false,
    maxHttpBufferSize: SOCKET_MESSAGE_MAX_BYTES,
    connectTimeout: CONNECT_TIMEOUT_MS,
    pingInterval: PING_INTERVAL_MS,
    pingTimeout: PING_TIMEOUT_MS,
    allowRequest(request: IncomingMessage, decide) {
      const refusal = gate.refusalOf(request);
      if (refusal !== undefined) log.info({ refusal, origin: request.headers.origin }, "socket refused");
      decide(refusal ?? null, refusal === undefined);
    },
  });
  io.attach(options.http);
  scope.defer(() => closeAll(io));
  const tried = new WeakSet<EngineSocket>();
  const bridges = new WeakMap<EngineSocket, (browser: BrowserSocket) => SessionBridge>();

  io.engine.on("connection", (engine: EngineSocket) => {
    engine.on("packet", () => options.lastResort.suspect(() => engine.close(true)));
    engine.on("error", () => {});
  });
  io.use(async (browser, next) => {
    const engine = browser.conn;
    try {
      // One attempt for each WebSocket: a wrong ticket costs its sender a new connection.
      if (tried.has(engine)) throw new AtollError("request.invalid", "second connect on one socket");
      tried.add(engine);
      bridges.set(engine, await admit(browser, options, census));
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
    const bridge = bridges.get(browser.conn)?.(browser);
    bridges.delete(browser.conn);
    browser.use(([name], next) => {
      if (name === "bytes") next();
      else bridge?.refuse(new AtollError("request.invalid", "unknown event"));
    });
  });
  return census;
}

/** Everything that can fail before a browser counts as connected. What it opened ends with the WebSocket. */
async function admit(
  browser: BrowserSocket,
  options: SocketServerOptions,
  census: SocketCensus,
): Promise<(browser: BrowserSocket) => SessionBridge> {
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
  return (announced) => new SessionBridge({ browser: announced, hostd, clock: options.clock });
}

/** Browsers see a lost transport, not a refusal, and reconnect by themselves. */
async function closeAll(io: Server): Promise<void> {
  for (const browser of io.sockets.sockets.values()) browser.conn.close();
  io.engine.close();
}
