/** Sends one authorised request on to the guest's server; bodies stream both ways, an upgrade becomes a pipe. */
import {
  type ClientRequest,
  request as httpRequest,
  type IncomingMessage,
  type RequestOptions,
  type ServerResponse,
} from "node:http";
import type { Socket } from "node:net";
import { type Duplex, pipeline } from "node:stream";
import { AtollError, toAtollError } from "@atoll/protocol/atoll-error";
import type { GuestAgents } from "./guest-agents.ts";
import type { GuestView } from "./guest-view.ts";
import { HEADERS_MAX_COUNT, RESPONSE_HEAD_MAX_BYTES, RESPONSE_HEAD_TIMEOUT_MS } from "./preview-limits.ts";
import { requestHeaders } from "./request-headers.ts";
import { responseHeaders } from "./response-headers.ts";

export interface ForwardOptions {
  request: IncomingMessage;
  response: ServerResponse;
  view: GuestView;
  agents: GuestAgents;
  /** Of an upgrade: the browser's socket and what it already sent. */
  upgrade?: { socket: Duplex; head: Buffer };
}

/**
 * Resolves when the response is on its way.
 * @throws AtollError while nothing of a response was sent; later faults end the connection.
 */
export async function forwardToGuest(options: ForwardOptions): Promise<void> {
  const { request } = options;
  const isRepeatable = (request.method === "GET" || request.method === "HEAD") && !hasBody(request);
  try {
    await attempt(options, isRepeatable && !options.upgrade);
  } catch (cause) {
    // A kept connection that the guest closed just as we used it: once more on a fresh one.
    if (!(cause instanceof StaleConnection)) throw cause;
    await attempt(options, false);
  }
}

class StaleConnection extends Error {}

function attempt(options: ForwardOptions, isReusing: boolean): Promise<void> {
  const { request, response, view, agents, upgrade } = options;
  const { port } = view.host;
  const headers = requestHeaders(request, view);
  if (upgrade) headers.push("Connection", "Upgrade", "Upgrade", "websocket");
  const target: RequestOptions = {
    method: request.method,
    path: request.url,
    headers,
    maxHeaderSize: RESPONSE_HEAD_MAX_BYTES,
    ...(isReusing
      ? { agent: agents.reusing(port) }
      : {
          createConnection: (_options, done) => {
            agents.dial(port, done);
            return undefined;
          },
        }),
  };
  const outgoing = httpRequest(target);
  outgoing.maxHeadersCount = HEADERS_MAX_COUNT;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const headTimer = setTimeout(
    () => outgoing.destroy(new AtollError("request.timeout", "no response head")),
    RESPONSE_HEAD_TIMEOUT_MS,
  );
  const abort = () => {
    if (!response.writableFinished) outgoing.destroy(new AtollError("request.aborted"));
  };
  response.once("close", abort);
  outgoing.on("error", (cause) => {
    if (outgoing.reusedSocket && !response.headersSent && isReset(cause)) {
      response.removeListener("close", abort);
      reject(new StaleConnection(undefined, { cause }));
    } else reject(toGuestError(cause));
  });
  outgoing.once("close", () => {
    clearTimeout(headTimer);
    reject(new AtollError("port.bad_answer", "connection ended without a response"));
  });
  outgoing.once("response", (incoming) => {
    clearTimeout(headTimer);
    try {
      sendResponse(incoming, response, view);
      resolve();
    } catch (cause) {
      // A status or a phrase that cannot be said in HTTP again.
      outgoing.destroy();
      reject(new AtollError("port.bad_answer", undefined, { cause }));
    }
  });
  if (upgrade) {
    outgoing.once("upgrade", (incoming, guest, guestHead) => {
      clearTimeout(headTimer);
      response.removeListener("close", abort);
      response.detachSocket(upgrade.socket as Socket);
      if (guestHead.length > 0) guest.unshift(guestHead);
      joinUpgraded(incoming, guest, upgrade, view);
      resolve();
    });
    outgoing.end();
  } else sendBody(request, outgoing);
  return promise;
}

function sendBody(request: IncomingMessage, outgoing: ClientRequest): void {
  if (!hasBody(request)) return void outgoing.end();
  request.pipe(outgoing);
  // A guest that answered without reading it all: the rest goes, or the browser's connection would stand still.
  outgoing.once("close", () => request.resume());
}

function sendResponse(incoming: IncomingMessage, response: ServerResponse, view: GuestView): void {
  response.sendDate = false;
  response.writeHead(incoming.statusCode ?? 502, incoming.statusMessage, responseHeaders(incoming, view));
  // Server-sent events and the like: the head is the browser's sign that it is connected.
  response.flushHeaders();
  // A response cut short in the guest is cut short here too, never completed as if it were whole.
  pipeline(incoming, response, () => {});
}

/** 101: from here on the two connections are one pipe, and end together. */
function joinUpgraded(
  incoming: IncomingMessage,
  guest: Duplex,
  { socket, head }: NonNullable<ForwardOptions["upgrade"]>,
  view: GuestView,
): void {
  const flat = responseHeaders(incoming, view);
  const lines = [`HTTP/1.1 101 ${incoming.statusMessage ?? "Switching Protocols"}`];
  for (let at = 0; at + 1 < flat.length; at += 2) lines.push(`${flat[at]}: ${flat[at + 1]}`);
  socket.write(`${lines.join("\r\n")}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`, "latin1");
  if (head.length > 0) socket.unshift(head);
  pipeline(socket, guest, () => socket.destroy());
  pipeline(guest, socket, () => guest.destroy());
}

function hasBody(request: IncomingMessage): boolean {
  const length = request.headers["content-length"];
  return request.headers["transfer-encoding"] !== undefined || (length !== undefined && length !== "0");
}

function isReset(cause: unknown): boolean {
  const code = cause instanceof AtollError ? cause.code : (cause as NodeJS.ErrnoException).code;
  return code === "ECONNRESET" || code === "stream.reset" || code === "EPIPE";
}

/** Faults of the guest's server as a code that says so. */
function toGuestError(cause: unknown): AtollError {
  if (cause instanceof AtollError && cause.code !== "stream.reset") return cause;
  const code = (cause as NodeJS.ErrnoException).code ?? "";
  if (code.startsWith("HPE_")) return new AtollError("port.bad_answer", undefined, { cause });
  if (isReset(cause)) {
    return new AtollError("port.bad_answer", "guest closed without a response", { cause });
  }
  return toAtollError(cause);
}
