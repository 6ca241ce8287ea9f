import type { LiveSession } from "@atoll/db/auth-sessions";
import { AtollError } from "@atoll/protocol/atoll-error";
import { initTRPC } from "@trpc/server";
import superjson from "superjson";
import type { WebProcess } from "../web-process.ts";
import { toWireFailure } from "./to-wire-error.ts";

export interface TrpcContext {
  process: WebProcess;
  session: LiveSession | null;
  /** False for a request that another site's page could have caused. */
  isOwnOrigin: boolean;
  idlePauseSeconds: number;
}

/** What a procedure gets. */
export interface SignedInContext extends TrpcContext {
  session: LiveSession;
  userId: string;
}

const trpc = initTRPC.context<TrpcContext>().create({
  transformer: superjson,
  isDev: false,
  errorFormatter({ shape, error }) {
    const failure = toWireFailure(error);
    return {
      ...shape,
      message: failure.code,
      data: { code: failure.code, details: failure.details, httpStatus: failure.http },
    };
  },
  sse: {
    // A stream ends now and then, so that whoever was signed out meanwhile does not get the next one.
    maxDurationMs: 5 * 60_000,
    ping: { enabled: true, intervalMs: 15_000 },
    client: { reconnectAfterInactivityMs: 45_000 },
  },
});

export const { router, createCallerFactory } = trpc;

/** Every procedure starts here: a live sign-in, and for changes our own page. */
export const procedure = trpc.procedure.use(({ ctx, type, next }) => {
  if (type === "mutation" && !ctx.isOwnOrigin) throw new AtollError("origin.refused");
  if (!ctx.session) throw new AtollError("auth.required");
  return next({ ctx: { ...ctx, session: ctx.session, userId: ctx.session.user.id } });
});
