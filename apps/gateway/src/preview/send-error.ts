import type { IncomingMessage, ServerResponse } from "node:http";
import type { AtollError } from "@atoll/protocol/atoll-error";
import { ERRORS } from "@atoll/protocol/errors";
import { statusPage, statusPageSecurity } from "./status-page.ts";

export interface SendErrorOptions {
  request: IncomingMessage;
  response: ServerResponse;
  error: AtollError;
  appOrigin: string;
  port?: number | undefined;
}

/** A page for people, JSON for programs; the status is the code's. A response already begun is cut. */
export function sendError({ request, response, error, appOrigin, port }: SendErrorOptions): void {
  if (response.headersSent || error.code === "request.aborted") {
    response.destroy();
    return;
  }
  const spec = ERRORS[error.code];
  const isHtml = request.headers.accept?.includes("text/html") === true;
  const canRetry = request.method === "GET";
  const body = isHtml
    ? statusPage(error, port, canRetry)
    : `${JSON.stringify({ error: { ...error.toWire(), what: spec.what, why: spec.why, now: spec.now } })}\n`;
  response.writeHead(spec.http, {
    "Content-Type": isHtml ? "text/html; charset=utf-8" : "application/json; charset=utf-8",
    "Content-Length": Buffer.byteLength(body),
    "Content-Security-Policy": statusPageSecurity(appOrigin),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    // What is left of an unread body is not worth reading.
    ...(request.complete ? {} : { Connection: "close" }),
  });
  response.end(request.method === "HEAD" ? undefined : body);
}
