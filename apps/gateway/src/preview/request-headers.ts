import type { IncomingMessage } from "node:http";
import { splitCookies } from "./grant-cookie.ts";
import type { GuestView } from "./guest-view.ts";
import { endToEndHeaders } from "./hop-by-hop.ts";

/** What a client says about proxies is not believed; what we know is said instead. `Expect` was answered here. */
const REPLACED: ReadonlySet<string> = new Set([
  "host",
  "cookie",
  "origin",
  "expect",
  "forwarded",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-port",
  "x-forwarded-proto",
  "x-real-ip",
]);

/** Headers for the guest's server, flat name-value pairs. Ours are gone, the application's own pass as they are. */
export function requestHeaders(request: IncomingMessage, view: GuestView): string[] {
  const { headers } = request;
  const guestHost = `localhost:${view.host.port}`;
  const flat: string[] = ["Host", guestHost];
  for (const [name, value] of endToEndHeaders(request.rawHeaders, headers.connection)) {
    if (!REPLACED.has(name.toLowerCase())) flat.push(name, value);
  }
  const { rest } = splitCookies(headers.cookie);
  if (rest !== "") flat.push("Cookie", rest);
  if (view.guestOrigin !== undefined) flat.push("Origin", view.guestOrigin);
  if (headers["transfer-encoding"] !== undefined) flat.push("Transfer-Encoding", "chunked");
  // Frameworks compare Origin with X-Forwarded-Host, else with Host: with an Origin all three say the guest's name.
  const forwardedHost = view.guestOrigin === undefined ? view.host.authority : guestHost;
  flat.push("X-Forwarded-Host", forwardedHost, "X-Forwarded-Proto", view.scheme);
  flat.push("X-Forwarded-For", request.socket.remoteAddress ?? "127.0.0.1");
  return flat;
}
