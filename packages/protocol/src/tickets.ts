/** Claims of the signed passes (JWT, EdDSA). Each kind has its own audience, so none can stand in for another. */
import * as z from "zod";
import { previewPort, uuid, workspaceSlug } from "./ids.ts";

export const TICKET_ISSUER = "atoll-web";
export const SESSION_TICKET = { audience: "atoll-session", lifetimeSeconds: 60 } as const;
export const PREVIEW_TICKET = { audience: "atoll-preview", lifetimeSeconds: 30 } as const;

/** How long a preview host's own cookie, got for a ticket, lets a browser in, unless its sign-in ends before. */
export const PREVIEW_GRANT_SECONDS = 12 * 3600;

/** Lets one browser tab open one session on one workspace. Handed by web to the browser, checked by gateway and hostd. */
export const sessionTicketClaims = z.object({
  jti: uuid,
  /** User. */
  sub: uuid,
  workspaceId: uuid,
  slug: workspaceSlug,
  /** Sign-in session, so that signing out ends sockets. */
  authSessionId: uuid,
  planLabel: z.string().max(32),
  maxSessions: z.number().int().positive(),
  /**
   * Instead of the workspace itself: a read-only view of a checkpoint, or with null of its disk as it lies there. Such a
   * session never wakes the workspace and counts to no limit of it.
   */
  view: z.object({ checkpointId: uuid.nullable() }).optional(),
  exp: z.number(),
});
export type SessionTicketClaims = z.infer<typeof sessionTicketClaims>;

/** Exchanged once, on the preview host itself, for that host's own cookie. */
export const previewTicketClaims = z.object({
  jti: uuid,
  sub: uuid,
  workspaceId: uuid,
  slug: workspaceSlug,
  port: previewPort,
  authSessionId: uuid,
  exp: z.number(),
});
export type PreviewTicketClaims = z.infer<typeof previewTicketClaims>;

/** Path on a preview host that takes `?ticket=` and `?to=` (a path on the same host). */
export const PREVIEW_ENTER_PATH = "/__atoll/enter";
