/** Headers of one connection, not of the message (RFC 9110 7.6.1, and what older software sends). Lower case. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

export type Header = readonly [name: string, value: string];

/** Raw headers as pairs, without those of this hop, whether well known or named by `Connection`. */
export function endToEndHeaders(rawHeaders: readonly string[], connection: string | undefined): Header[] {
  const named = new Set(connection?.toLowerCase().split(/[ \t]*,[ \t]*/));
  const kept: Header[] = [];
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] as string;
    const lower = name.toLowerCase();
    if (!HOP_BY_HOP.has(lower) && !named.has(lower)) kept.push([name, rawHeaders[at + 1] as string]);
  }
  return kept;
}
