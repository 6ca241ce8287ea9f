/**
 * Who to charge for failures. Only ever used to slow down guessing, never to let somebody in. Next shows no socket to its
 * pages and passes on whatever `X-Forwarded-For` a client made up, so the socket's address is noted when the request arrives.
 */
import { randomBytes } from "node:crypto";
import { subscribe } from "node:diagnostics_channel";
import type { IncomingMessage } from "node:http";

/** Of this life only: nobody outside can send it. Next evaluates modules once per bundle, hence on `globalThis`. */
const holder = globalThis as typeof globalThis & { atollPeerHeader?: string };

/** Call it before the first request. */
export function notePeerAddresses(): void {
  if (holder.atollPeerHeader !== undefined) return;
  const header = `x-atoll-peer-${randomBytes(16).toString("hex")}`;
  holder.atollPeerHeader = header;
  subscribe("http.server.request.start", (message) => {
    const { request } = message as { request: IncomingMessage };
    request.headers[header] = request.socket.remoteAddress ?? "";
  });
}

/** @param trustedProxies whose word about the address before them counts */
export function clientAddress(headers: Headers, trustedProxies: ReadonlySet<string>): string {
  const { atollPeerHeader } = holder;
  const peer = atollPeerHeader === undefined ? null : headers.get(atollPeerHeader);
  // One bucket for all, if that fails.
  if (!peer) return "unknown";
  let address = plain(peer);
  const hops = headers.get("x-forwarded-for")?.split(",") ?? [];
  while (trustedProxies.has(address)) {
    const before = hops.pop()?.trim();
    if (!before) break;
    address = plain(before);
  }
  return address.slice(0, 64);
}

function plain(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, "");
}
