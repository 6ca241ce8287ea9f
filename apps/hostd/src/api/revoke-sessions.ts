import { revokeSessions } from "@atoll/protocol/hostd-api";
import { parseBody } from "./parse-body.ts";
import type { Route } from "./route.ts";

export const revokeSessionsRoute: Route = {
  method: "POST",
  path: "/v1/sessions/revoke",
  handle: async ({ body }, { sessions }) => {
    const { userId, authSessionId } = parseBody(revokeSessions, body);
    return { endedCount: await sessions.revoke(userId, authSessionId) };
  },
};
