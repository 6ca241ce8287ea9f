/**
 * How names look on the two sides of the proxy. Outside, an application is `<port>-<slug>.preview.…`; the guest's
 * server is told `localhost:<port>`, the one name every development server trusts and compares origins with.
 */
import type { PreviewHost, PreviewSite } from "./preview-host.ts";

export interface GuestView {
  host: PreviewHost;
  scheme: PreviewSite["scheme"];
  /** Origin the browser sent, when the request had one. */
  publicOrigin: string | undefined;
  /** The same as the guest knows it. */
  guestOrigin: string | undefined;
}

/** @param peer the other preview host whose page asks, for a cross-origin request */
export function guestView(options: {
  host: PreviewHost;
  scheme: PreviewSite["scheme"];
  publicOrigin: string | undefined;
  peer: PreviewHost | undefined;
}): GuestView {
  const { host, scheme, publicOrigin, peer } = options;
  const port = peer?.port ?? host.port;
  const isOwn = publicOrigin !== undefined && publicOrigin !== "null";
  return { host, scheme, publicOrigin, guestOrigin: isOwn ? `${scheme}://localhost:${port}` : publicOrigin };
}

/** A redirect to the guest's own name, as frameworks build it from `Host`, leads back to the preview host. */
export function publicLocation(location: string, view: GuestView): string {
  if (!URL.canParse(location)) return location;
  const url = new URL(location);
  const isLoopback = ["localhost", "127.0.0.1", "[::1]", "0.0.0.0"].includes(url.hostname);
  if (!isLoopback || !url.protocol.startsWith("http") || url.port !== String(view.host.port)) return location;
  return `${view.scheme}://${view.host.authority}${url.pathname}${url.search}${url.hash}`;
}
