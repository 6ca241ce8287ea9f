import type { IncomingMessage, ServerResponse } from "node:http";
import { AtollError } from "@atoll/protocol/atoll-error";
import { type PreviewHost, type PreviewSite, previewHostOfUrl } from "./preview-host.ts";

export function isPreflight(request: IncomingMessage): boolean {
  return request.method === "OPTIONS" && request.headers["access-control-request-method"] !== undefined;
}

/**
 * Browsers send preflights without cookies, so they cannot be authorised; and a guest must not hear strangers.
 * Between ports of one workspace the answer is yes: the request itself follows with its cookie, and the guest's
 * own headers decide what its page may read.
 * @throws AtollError origin.refused
 */
export function answerPreflight(
  request: IncomingMessage,
  response: ServerResponse,
  host: PreviewHost,
  site: PreviewSite,
): void {
  const { origin } = request.headers;
  const peer = previewHostOfUrl(origin ?? "", site);
  if (origin === undefined || peer?.slug !== host.slug) throw new AtollError("origin.refused");
  response.writeHead(204, {
    "Access-Control-Allow-Origin": origin,
    "Access-Control-Allow-Credentials": "true",
    "Access-Control-Allow-Methods": request.headers["access-control-request-method"] ?? "",
    "Access-Control-Allow-Headers": request.headers["access-control-request-headers"] ?? "",
    "Access-Control-Max-Age": "60",
    Vary: "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
  });
  response.end();
}
