import type { updateWorkspace } from "@atoll/protocol/hostd-api";
import { PLAN_TIMES, type PlanName } from "@atoll/protocol/plans";
import type { z } from "zod";

/** What a plan sets on a host's workspace, beside its size. */
export function planSettings(plan: PlanName) {
  const times = PLAN_TIMES[plan];
  return {
    retention: {
      stopAfterPausedSeconds: times.stopAfterPausedSeconds,
      archiveAfterStoppedSeconds: times.archiveAfterStoppedSeconds,
    },
    checkpointEverySeconds: times.checkpointEverySeconds,
    maxCheckpoints: times.maxCheckpoints,
    keepAwakeMaxSeconds: times.keepAwakeMaxSeconds,
  } satisfies z.input<typeof updateWorkspace>;
}
