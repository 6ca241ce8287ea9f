import type { StartContext } from "#server/domain/workspace/start-workspace.ts";
import { log } from "#server/log.ts";
import type { SignedInContext } from "#server/trpc/trpc.ts";

export function startContext(ctx: SignedInContext): StartContext {
  return {
    hostd: ctx.process.hostd,
    statuses: ctx.process.statuses,
    idlePauseSeconds: ctx.idlePauseSeconds,
    plan: ctx.session.user.plan,
    onLateFailure: (error) => log().warn({ err: error }, "start failed after it was accepted"),
  };
}
