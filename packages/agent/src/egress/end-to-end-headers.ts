/** Headers that concern one connection only (RFC 9110, 7.6.1), and the proxy's own. */
const HOP_BY_HOP = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authentication-info",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** Name and value in turns, as Node gives and takes them; order, case and repetition are kept. */
export function endToEndHeaders(raw: readonly string[], replace: Record<string, string> = {}): string[] {
  const named = new Set<string>();
  for (let at = 0; at + 1 < raw.length; at += 2) {
    if (raw[at]?.toLowerCase() !== "connection") continue;
    for (const name of (raw[at + 1] ?? "").split(",")) named.add(name.trim().toLowerCase());
  }
  const headers: string[] = [];
  for (const [name, value] of Object.entries(replace)) headers.push(name, value);
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at] as string;
    const key = name.toLowerCase();
    if (HOP_BY_HOP.has(key) || named.has(key) || key in replace) continue;
    headers.push(name, raw[at + 1] as string);
  }
  return headers;
}
