import { procedure } from "#server/trpc/trpc.ts";

/** What everything of theirs takes on the host's disk. */
export const usage = procedure.query(({ ctx }) => ctx.process.hostd.ownerUsage(ctx.userId));
