import type { StartContext } from "#server/domain/workspace/start-workspace.ts";
import { log } from "#server/log.ts";
import type { TrpcContext } from "#server/trpc/trpc.ts";

export function startContext(ctx: TrpcContext): StartContext {
  return {
    hostd: ctx.process.hostd,
    statuses: ctx.process.statuses,
    idlePauseSeconds: ctx.idlePauseSeconds,
    onLateFailure: (error) => log().warn({ err: error }, "start failed after it was accepted"),
  };
}
