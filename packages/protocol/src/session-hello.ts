/**
 * First message on a connection of the gateway to hostd's link socket. The gateway sends it and then passes
 * bytes: the browser's mux and hostd's are the two ends.
 */
import * as z from "zod";
import { errorDetails } from "./atoll-error.ts";
import { uuid } from "./ids.ts";
import { workspaceStatus } from "./workspace-status.ts";

export const connectionHello = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("session"),
    /** hostd verifies it again; the gateway is not trusted with who may enter. */
    ticket: z.string().max(4096),
    /** Chosen by the tab and kept over reconnects: the same tab never counts twice. */
    tabId: uuid,
    /** At the plan's limit: end the oldest other session instead of refusing. */
    takeOver: z.boolean(),
  }),
  z.object({
    type: z.literal("preview"),
    workspaceId: uuid,
    userId: uuid,
    /** Sign-in session that opened the preview, so that signing out ends it (`session.revoked`). */
    authSessionId: uuid,
    /** When the viewer's grant was signed: the end of all sign-ins of a user ends the grants before it. */
    grantedAtMs: z.number(),
  }),
]);
export type ConnectionHello = z.infer<typeof connectionHello>;

/** hostd's answer; a refusal is RESET on stream 0 with the error instead. */
export const connectionHelloAnswer = z.object({
  type: z.literal("accepted"),
  sessionId: uuid,
  status: workspaceStatus,
});

/**
 * Events of stream 0 to a session. A session may open streams while `status.state` is `running`; at pause, stop or
 * a lost link all its streams are reset and it waits for `running` again.
 */
export const sessionEvent = z.discriminatedUnion("type", [
  connectionHelloAnswer,
  z.object({ type: z.literal("status"), status: workspaceStatus }),
  z.object({ type: z.literal("notice"), code: z.string().max(64), details: errorDetails.optional() }),
]);
export type SessionEvent = z.infer<typeof sessionEvent>;

/** Events of stream 0 from a session. */
export const sessionCommand = z.discriminatedUnion("type", [
  /** Resume a paused or stopped workspace. */
  z.object({ type: z.literal("wake") }),
  /** Somebody is at the tab: keys, pointer, scrolling. At most one in 30 s; typing into terminals and saving count by themselves. */
  z.object({ type: z.literal("active") }),
]);
export type SessionCommand = z.infer<typeof sessionCommand>;
