import type { IncomingMessage, ServerResponse } from "node:http";
import { AtollError } from "@atoll/protocol/atoll-error";
import type { TicketVerifier } from "../tickets/ticket-verifier.ts";
import { setGrantCookies } from "./grant-cookie.ts";
import type { GrantSigner } from "./preview-grant.ts";
import type { PreviewHost } from "./preview-host.ts";
import { safePath } from "./safe-path.ts";
import type { UsedTickets } from "./used-tickets.ts";

export interface EnterPreviewOptions {
  tickets: TicketVerifier;
  used: UsedTickets;
  signer: GrantSigner;
}

/**
 * Exchanges a single-use ticket for this host's cookie and leads on to the page asked for. A ticket shown at
 * another host is refused there and still good here.
 * @throws AtollError request.invalid, ticket.invalid, ticket.expired, ticket.used
 */
export async function enterPreview(
  request: IncomingMessage,
  response: ServerResponse,
  host: PreviewHost,
  options: EnterPreviewOptions,
): Promise<void> {
  if (request.method !== "GET") throw new AtollError("request.invalid", "enter takes GET");
  const { searchParams } = new URL(request.url ?? "/", "http://preview.invalid");
  const ticket = searchParams.get("ticket");
  if (ticket === null || ticket.length > 4096) throw new AtollError("ticket.invalid");
  const claims = await options.tickets.preview(ticket);
  if (claims.port !== host.port || claims.slug !== host.slug)
    throw new AtollError("ticket.invalid", "other host");
  options.used.use(claims.jti, claims.exp);
  const { sub: userId, workspaceId, authSessionId, slug, port } = claims;
  response.writeHead(303, {
    Location: safePath(searchParams.get("to")),
    "Set-Cookie": setGrantCookies(options.signer.sign({ workspaceId, userId, authSessionId, slug, port })),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Content-Length": 0,
  });
  response.end();
}
