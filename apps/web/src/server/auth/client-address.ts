/**
 * Who to charge for failures. The last entry is the one the nearest hop wrote: Next itself, or the reverse
 * proxy in front. Only ever used to slow down guessing, never to let somebody in.
 */
export function clientAddress(headers: Headers): string {
  const hops = headers.get("x-forwarded-for")?.split(",") ?? [];
  return hops.at(-1)?.trim().slice(0, 64) || "unknown";
}
