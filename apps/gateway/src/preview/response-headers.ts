import type { IncomingMessage } from "node:http";
import { isGrantCookieName } from "./grant-cookie.ts";
import { type GuestView, publicLocation } from "./guest-view.ts";
import { endToEndHeaders } from "./hop-by-hop.ts";

/** Reach beyond the application's own host and path, or would remove our cookie. */
const DROPPED: ReadonlySet<string> = new Set(["clear-site-data", "service-worker-allowed", "alt-svc"]);

/** Headers for the browser, flat name-value pairs. Framing and content security are the application's own affair. */
export function responseHeaders(response: IncomingMessage, view: GuestView): string[] {
  const flat: string[] = [];
  for (const [name, value] of endToEndHeaders(response.rawHeaders, response.headers.connection)) {
    const lower = name.toLowerCase();
    if (DROPPED.has(lower) || (lower === "set-cookie" && !isHarmlessCookie(value))) continue;
    if (lower === "location") flat.push(name, publicLocation(value, view));
    else if (lower === "access-control-allow-origin" && value === view.guestOrigin) {
      flat.push(name, view.publicOrigin ?? value);
    } else flat.push(name, value);
  }
  return flat;
}

/** A cookie with a domain would reach every preview; one of our names would shadow the grant. */
function isHarmlessCookie(value: string): boolean {
  const [pair = "", ...attributes] = value.split(";");
  const name = pair.slice(0, Math.max(0, pair.indexOf("="))).trim();
  const isHostOnly = attributes.every((attribute) => !/^\s*domain\s*(=|$)/i.test(attribute));
  return isHostOnly && !isGrantCookieName(name) && !isGrantCookieName(pair.trim());
}
