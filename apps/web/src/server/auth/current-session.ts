import { checkAuthSession, type LiveSession } from "@atoll/db/auth-sessions";
import { cache } from "react";
import { webProcess } from "../web-process.ts";
import { auth } from "./auth-config.ts";

/** The sign-in of this request, looked up in the database so that a revoked one is over at once. */
export const currentSession = cache(async (): Promise<LiveSession | null> => {
  const claims = await auth();
  if (!claims?.userId || !claims.authSessionId) return null;
  return checkAuthSession(webProcess().db, claims.userId, claims.authSessionId);
});
