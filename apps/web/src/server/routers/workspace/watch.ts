import { procedure } from "#server/trpc/trpc.ts";

/** Live states of the caller's own workspaces: all known ones at once, then each change. */
export const watch = procedure.subscription(async function* ({ ctx, signal }) {
  yield* ctx.process.statuses.watch(ctx.userId, signal ?? new AbortController().signal);
});
