/**
 * The guest's way out: an HTTP proxy on its loopback, each connection a stream to the host, which alone resolves
 * names and decides. The only thing of the agent that listens on TCP, and it offers nothing of the agent.
 */

import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { AtollError } from "@atoll/protocol/atoll-error";
import type { MuxStream } from "@atoll/protocol/mux-stream";
import { joinSocket } from "../ports/join-socket.ts";
import { endToEndHeaders } from "./end-to-end-headers.ts";
import { createServer, request } from "./node-http.ts";
import { absoluteTarget, connectTarget, type ProxyTarget } from "./proxy-target.ts";
import { refusalOf } from "./refusal.ts";
import { UpstreamAgent } from "./upstream-agent.ts";

/** Programs' connections at once; above the outbound limit, so that the limit is answered and not met with silence. */
const CLIENTS_MAX = 1024;
/** Node looks for slow requests at an interval; on the guest's own loopback nobody is slow, and a timer would tick. */
const NEVER_MS = 2_147_483_647;

export interface HttpProxyOptions {
  dial: (target: ProxyTarget, signal?: AbortSignal) => Promise<MuxStream>;
}

export class HttpProxy implements AsyncDisposable {
  readonly #options: HttpProxyOptions;
  readonly #server: Server;
  readonly #upstream: UpstreamAgent;

  constructor(options: HttpProxyOptions) {
    this.#options = options;
    this.#upstream = new UpstreamAgent(options.dial);
    this.#server = createServer({
      connectionsCheckingInterval: NEVER_MS,
      keepAliveTimeout: 60_000,
      noDelay: true,
    });
    this.#server.maxConnections = CLIENTS_MAX;
    this.#server.requestTimeout = 0;
    this.#server.on("request", (incoming, answer) => this.#onRequest(incoming, answer));
    this.#server.on("connect", (incoming, socket, head) => this.#onConnect(incoming, socket, head));
    this.#server.on("clientError", (_error, socket) => socket.destroy());
  }

  /** Resolves with the port. */
  async listen(port: number): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen({ host: "127.0.0.1", port }, resolve);
    });
    this.#server.on("error", () => {});
    return (this.#server.address() as AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#upstream.destroy();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #onConnect(incoming: IncomingMessage, duplex: Duplex, head: Buffer): void {
    // Node hands out the connection as what it is: a socket of net.
    const socket = duplex as Socket;
    const gone = new AbortController();
    socket.on("error", () => socket.destroy());
    socket.once("close", () => gone.abort(new AtollError("request.aborted")));
    this.#tunnel(incoming.url ?? "", socket, head, gone.signal).catch((cause: unknown) => {
      if (socket.destroyed) return;
      const { status, reason, body } = refusalOf(cause);
      socket.end(
        `HTTP/1.1 ${status} ${reason}\r\nContent-Type: text/plain\r\nContent-Length: ${Buffer.byteLength(body)}\r\n` +
          `Connection: close\r\n\r\n${body}`,
      );
    });
  }

  async #tunnel(authority: string, socket: Socket, head: Buffer, signal: AbortSignal): Promise<void> {
    const stream = await this.#options.dial(connectTarget(authority), signal);
    socket.allowHalfOpen = true;
    socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
    if (head.length > 0) await stream.write(head);
    await joinSocket(socket, stream).catch(() => socket.destroy());
  }

  #onRequest(incoming: IncomingMessage, answer: ServerResponse): void {
    try {
      const target = absoluteTarget(incoming.url ?? "");
      this.#forward(incoming, answer, target, true);
    } catch (cause) {
      refuse(answer, cause);
    }
  }

  #forward(
    incoming: IncomingMessage,
    answer: ServerResponse,
    target: ReturnType<typeof absoluteTarget>,
    mayRetry: boolean,
  ): void {
    const { host, port, path, hostHeader } = target;
    const isChunked = incoming.headers["transfer-encoding"] !== undefined;
    const hasBody = isChunked || incoming.headers["content-length"] !== undefined;
    const headers = endToEndHeaders(incoming.rawHeaders, {
      host: hostHeader,
      ...(isChunked ? { "transfer-encoding": "chunked" } : {}),
    });
    const outgoing = request({
      agent: this.#upstream,
      host,
      port,
      path,
      method: incoming.method ?? "GET",
      headers,
    });
    const abort = () => outgoing.destroy();
    answer.once("close", abort);
    outgoing.on("response", (reply) => {
      answer.writeHead(reply.statusCode ?? 502, reply.statusMessage, endToEndHeaders(reply.rawHeaders));
      reply.on("error", () => answer.destroy());
      reply.pipe(answer);
    });
    outgoing.on("error", (cause) => {
      answer.off("close", abort);
      // A kept connection may be closed by the other end just now: nothing was done, so it is asked once more.
      if (outgoing.reusedSocket && mayRetry && !hasBody && !answer.headersSent && !answer.destroyed) {
        this.#forward(incoming, answer, target, false);
      } else if (answer.headersSent) answer.destroy();
      else refuse(answer, cause instanceof AtollError ? cause : new AtollError("egress.unreachable"));
    });
    if (hasBody) {
      incoming.on("error", abort);
      incoming.pipe(outgoing);
    } else outgoing.end();
  }
}

function refuse(answer: ServerResponse, cause: unknown): void {
  const { status, reason, body } = refusalOf(cause);
  if (answer.destroyed) return;
  answer.writeHead(status, reason, {
    "content-type": "text/plain",
    "content-length": Buffer.byteLength(body),
  });
  answer.end(body);
}
