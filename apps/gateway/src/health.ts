import type { IncomingMessage, ServerResponse } from "node:http";

const LOOPBACK_HOST = /^(?:localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?$/;

/** Only under a loopback name: `/healthz` of a preview host belongs to the guest's application. */
export function isHealthCheck(request: IncomingMessage): boolean {
  const isRead = request.method === "GET" || request.method === "HEAD";
  return isRead && request.url === "/healthz" && LOOPBACK_HOST.test(request.headers.host ?? "");
}

/** The process answers; it says nothing about hostd. */
export function answerHealth(response: ServerResponse): void {
  response.writeHead(200, { "Content-Type": "application/json", "Cache-Control": "no-store" });
  response.end('{"ok":true}\n');
}
