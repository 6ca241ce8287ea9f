import type { IncomingMessage } from "node:http";
import { AtollError } from "@atoll/protocol/atoll-error";
import { splitCookies } from "./grant-cookie.ts";
import type { GrantSigner, PreviewGrant } from "./preview-grant.ts";
import { type PreviewHost, type PreviewSite, previewHostOfUrl } from "./preview-host.ts";

/** A page of another preview may plant cookies of our name in front of ours. Checking one costs about 5 µs. */
const GRANT_COOKIES_MAX = 64;

export interface AuthorizedRequest {
  grant: PreviewGrant;
  /** The other preview host of the same workspace whose page sends this, for a cross-origin request. */
  peer: PreviewHost | undefined;
}

/**
 * The one door for requests and upgrades: a live grant of exactly this host, and no foreign page behind it.
 * Says nothing about whether a workspace exists.
 * @throws AtollError preview.not_open, origin.refused
 */
export function authorize(
  request: IncomingMessage,
  host: PreviewHost,
  options: { signer: GrantSigner; site: PreviewSite },
): AuthorizedRequest {
  const { grants } = splitCookies(request.headers.cookie);
  const grant = grants
    .slice(0, GRANT_COOKIES_MAX)
    .map((text) => options.signer.open(text))
    .find((found) => found?.port === host.port && found.slug === host.slug);
  if (grant === undefined) throw new AtollError("preview.not_open");
  return { grant, peer: peerOf(request, host, options.site) };
}

/**
 * All previews share one site, so the browser's cookie rules do not keep one workspace's page from sending
 * requests with the viewer's cookie to another's. Navigations may come from anywhere; everything else must come
 * from this workspace, by Origin or, for plain scripts and images, by Referer.
 * @throws AtollError origin.refused
 */
function peerOf(request: IncomingMessage, host: PreviewHost, site: PreviewSite): PreviewHost | undefined {
  const relation = request.headers["sec-fetch-site"];
  if (relation === "same-origin" || relation === "none") return undefined;
  const { origin, referer } = request.headers;
  const isRead = request.method === "GET" || request.method === "HEAD";
  if (origin === undefined && relation === undefined) return undefined;
  if (origin === undefined && isRead && request.headers["sec-fetch-mode"] === "navigate") return undefined;
  const peer = previewHostOfUrl(origin ?? referer ?? "", site);
  if (peer?.slug !== host.slug) throw new AtollError("origin.refused");
  return peer.authority === host.authority ? undefined : peer;
}
