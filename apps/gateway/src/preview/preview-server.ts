/** The listener of all preview hosts: which host, may they, then on to the guest. */
import { createServer, type IncomingMessage, type Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { AtollError, toAtollError } from "@atoll/protocol/atoll-error";
import { PREVIEW_ENTER_PATH } from "@atoll/protocol/tickets";
import type { Logger } from "pino";
import { answerHealth, isHealthCheck } from "../health.ts";
import type { LastResort } from "../last-resort.ts";
import { answerPreflight, isPreflight } from "./answer-preflight.ts";
import { authorize } from "./authorize.ts";
import { type EnterPreviewOptions, enterPreview } from "./enter-preview.ts";
import { type ForwardOptions, forwardToGuest } from "./forward-to-guest.ts";
import { guestView } from "./guest-view.ts";
import type { PreviewConnections } from "./preview-connections.ts";
import { type PreviewHost, type PreviewSite, parsePreviewHost } from "./preview-host.ts";
import {
  PREVIEW_CONNECTIONS_MAX,
  REQUEST_HEAD_MAX_BYTES,
  REQUEST_HEAD_TIMEOUT_MS,
} from "./preview-limits.ts";
import { sendError } from "./send-error.ts";

/** Paths of ours on every preview host; never the guest's. */
const OWN_PATHS = "/__atoll/";

export interface PreviewServerOptions extends EnterPreviewOptions {
  connections: PreviewConnections;
  appOrigin: string;
  site: Omit<PreviewSite, "port">;
  log: Logger;
  lastResort: LastResort;
}

type Upgrade = NonNullable<ForwardOptions["upgrade"]>;

export class PreviewServer {
  readonly http: Server;
  readonly #options: PreviewServerOptions;
  readonly #sockets = new Set<Socket>();

  constructor(options: PreviewServerOptions) {
    this.#options = options;
    this.http = createServer(
      {
        maxHeaderSize: REQUEST_HEAD_MAX_BYTES,
        headersTimeout: REQUEST_HEAD_TIMEOUT_MS,
        requestTimeout: 0,
        keepAliveTimeout: 30_000,
        insecureHTTPParser: false,
        // Finds browsers that vanished behind an idle WebSocket.
        keepAlive: true,
        keepAliveInitialDelay: 60_000,
        shouldUpgradeCallback: (request) => request.headers.upgrade?.toLowerCase() === "websocket",
      },
      (request, response) => void this.#serve(request, response),
    );
    this.http.maxConnections = PREVIEW_CONNECTIONS_MAX;
    this.http.on("connection", (socket: Socket) => this.#track(socket));
    this.http.on("upgrade", (request, socket, head) => this.#onUpgrade(request, socket, head));
    this.http.on("connect", (_request, socket) => {
      socket.on("error", () => {});
      socket.end("HTTP/1.1 405 Method Not Allowed\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    });
  }

  /** Every connection, upgraded ones included. */
  closeConnections(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #track(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => this.#sockets.delete(socket));
  }

  #onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on("error", () => {});
    // A refusal is an ordinary response on the same socket.
    const response = new ServerResponse(request);
    response.shouldKeepAlive = false;
    response.assignSocket(socket as Socket);
    response.once("finish", () => {
      if (response.socket) (socket as Socket).destroySoon();
    });
    void this.#serve(request, response, { socket, head });
  }

  /** Never rejects. */
  async #serve(request: IncomingMessage, response: ServerResponse, upgrade?: Upgrade): Promise<void> {
    const { appOrigin, log, lastResort } = this.#options;
    lastResort.suspect(() => request.socket.destroy());
    request.on("error", () => {});
    response.on("error", () => {});
    let host: PreviewHost | undefined;
    try {
      if (isHealthCheck(request)) return answerHealth(response);
      const hosts = request.headersDistinct.host;
      if (hosts?.length === 1) host = parsePreviewHost(hosts[0], this.#site(request));
      if (host === undefined) throw new AtollError("host.refused");
      refuseOddForm(request);
      await this.#route(request, response, host, upgrade);
    } catch (cause) {
      const error = toAtollError(cause);
      if (error.code === "internal")
        log.error({ err: error.cause ?? error, host: host?.authority }, "preview");
      sendError({ request, response, error, appOrigin, port: host?.port });
    }
  }

  async #route(
    request: IncomingMessage,
    response: ServerResponse,
    host: PreviewHost,
    upgrade: Upgrade | undefined,
  ): Promise<void> {
    const site = this.#site(request);
    const path = request.url?.split(/[?#]/, 1)[0] ?? "";
    if (path.startsWith(OWN_PATHS)) {
      if (path !== PREVIEW_ENTER_PATH || upgrade) throw new AtollError("request.unknown");
      return enterPreview(request, response, host, this.#options);
    }
    if (isPreflight(request)) return answerPreflight(request, response, host, site);
    const { grant, peer } = authorize(request, host, { signer: this.#options.signer, site });
    const gone = new AbortController();
    const onGone = () => gone.abort(new AtollError("request.aborted"));
    response.once("close", onGone);
    const { connection, agents } = await this.#options.connections.borrow(grant);
    const letGo = connection.hold();
    response.once("close", letGo);
    try {
      const mode = request.headers["sec-fetch-mode"];
      const canWake = upgrade === undefined && (mode === undefined || mode === "navigate");
      await connection.admitted({ canWake, signal: gone.signal });
      response.removeListener("close", onGone);
      const view = guestView({ host, scheme: site.scheme, publicOrigin: request.headers.origin, peer });
      await forwardToGuest({ request, response, view, agents, ...(upgrade && { upgrade }) });
    } finally {
      // Its streams hold the connection by themselves now; a response that closed earlier let go already.
      letGo();
    }
  }

  #site(request: IncomingMessage): PreviewSite {
    return { ...this.#options.site, port: request.socket.localPort ?? 0 };
  }
}

/** Forms that read differently in the next hop. The parser refused bad framing before. */
function refuseOddForm(request: IncomingMessage): void {
  if (request.method === "TRACE" || !request.url?.startsWith("/")) throw new AtollError("request.invalid");
  const coding = request.headers["transfer-encoding"];
  if (coding !== undefined && coding.toLowerCase() !== "chunked") throw new AtollError("request.invalid");
}
