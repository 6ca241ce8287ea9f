/** Puts the two listeners together; main.ts and the tests start them through this. */
import { createServer, type Server } from "node:http";
import type { Socket } from "node:net";
import { join } from "node:path";
import type { Clock } from "@atoll/base/clock";
import { Scope } from "@atoll/base/scope";
import type { Logger } from "pino";
import { answerHealth, isHealthCheck } from "./health.ts";
import { LastResort } from "./last-resort.ts";
import { listenLoopback } from "./listen-loopback.ts";
import { cookieKey } from "./preview/cookie-key.ts";
import { PreviewConnections } from "./preview/preview-connections.ts";
import { GrantSigner } from "./preview/preview-grant.ts";
import { PreviewServer } from "./preview/preview-server.ts";
import { UsedTickets } from "./preview/used-tickets.ts";
import { BrowserGate } from "./sessions/browser-gate.ts";
import { CONNECTIONS_MAX } from "./sessions/session-limits.ts";
import { attachSocketServer, type SocketServerOptions } from "./sessions/socket-server.ts";
import type { TicketVerifier } from "./tickets/ticket-verifier.ts";

/** At the end, for a client to take what is on its way. One that reads nothing must not hold up the stop. */
const LAST_WORDS_MS = 1_000;

export interface StartGatewayOptions {
  gatewayPort: number;
  previewPort: number;
  webUrl: URL;
  gatewayUrl?: URL | undefined;
  previewDomain: string;
  linkSocketPath: string;
  dataDirectory: string;
  tickets: TicketVerifier;
  clock: Clock;
  log: Logger;
  /** Too many uncaught faults. */
  giveUp: () => void;
  socketLimits?: NonNullable<SocketServerOptions["limits"]>;
}

export interface RunningGateway extends AsyncDisposable {
  readonly gatewayPort: number;
  readonly previewPort: number;
  readonly lastResort: LastResort;
}

export async function startGateway(options: StartGatewayOptions): Promise<RunningGateway> {
  const { clock, log, webUrl, linkSocketPath, tickets } = options;
  const scope = new Scope();
  try {
    const lastResort = new LastResort({ log, now: () => clock.monotonic(), giveUp: options.giveUp });
    const key = await cookieKey(join(options.dataDirectory, "secrets", "preview-cookie.key"));
    const preview = new PreviewServer({
      tickets,
      used: new UsedTickets(clock),
      signer: new GrantSigner({ key, clock }),
      connections: new PreviewConnections({ linkSocketPath, clock, scope }),
      appOrigin: webUrl.origin,
      site: { domain: options.previewDomain, scheme: webUrl.protocol === "https:" ? "https" : "http" },
      log,
      lastResort,
    });
    const previewPort = await listenLoopback(preview.http, options.previewPort, scope);
    scope.defer(() => preview.closeConnections());
    const sockets = sessionListener(clock);
    const gatewayPort = await listenLoopback(sockets.http, options.gatewayPort, scope);
    scope.defer(() => sockets.closeConnections());
    attachSocketServer({
      http: sockets.http,
      gate: new BrowserGate({ webUrl, gatewayPort, gatewayUrl: options.gatewayUrl }),
      tickets,
      linkSocketPath,
      clock,
      log,
      lastResort,
      scope,
      ...(options.socketLimits && { limits: options.socketLimits }),
    });
    return { gatewayPort, previewPort, lastResort, [Symbol.asyncDispose]: () => scope.close() };
  } catch (error) {
    await scope.close();
    throw error;
  }
}

/** Serves health and, once attached, Socket.IO; nothing else lives here. */
function sessionListener(clock: Clock): { http: Server; closeConnections: () => void } {
  const open = new Set<Socket>();
  const http = createServer({ headersTimeout: 15_000, requestTimeout: 30_000 }, (request, response) => {
    if (isHealthCheck(request)) return answerHealth(response);
    response.writeHead(404, { "Content-Length": 0 }).end();
  });
  http.maxConnections = CONNECTIONS_MAX;
  http.on("connection", (socket: Socket) => {
    open.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => open.delete(socket));
  });
  return {
    http,
    closeConnections: () => {
      for (const socket of open) {
        socket.destroySoon();
        const cancel = clock.schedule(LAST_WORDS_MS, () => socket.destroy());
        socket.once("close", cancel);
      }
    },
  };
}
