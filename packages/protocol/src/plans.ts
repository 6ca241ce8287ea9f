/** The plan table. Sizes are what one workspace gets at most; sessions are tabs at once on one workspace. */
export const PLANS = {
  free: { label: "Free", cpus: 1, memoryMb: 512, diskMb: 2 * 1024, maxSessions: 1, maxWorkspaces: 2 },
  pro: { label: "Pro", cpus: 2, memoryMb: 2048, diskMb: 10 * 1024, maxSessions: 3, maxWorkspaces: 5 },
  team: { label: "Team", cpus: 4, memoryMb: 4096, diskMb: 20 * 1024, maxSessions: 5, maxWorkspaces: 10 },
  enterprise: {
    label: "Enterprise",
    cpus: 8,
    memoryMb: 16_384,
    diskMb: 100 * 1024,
    maxSessions: 10,
    maxWorkspaces: 50,
  },
} as const;

export type PlanName = keyof typeof PLANS;
export interface MachineSize {
  cpus: number;
  memoryMb: number;
  diskMb: number;
}

/** Any other size would need a template of its own, baked and kept, and a machine that waits. */
export function isPlanSize({ cpus, memoryMb, diskMb }: MachineSize): boolean {
  return Object.values(PLANS).some(
    (plan) => plan.cpus === cpus && plan.memoryMb === memoryMb && plan.diskMb === diskMb,
  );
}

export const PLAN_NAMES = Object.keys(PLANS) as PlanName[];

const HOUR_SECONDS = 3600;
const DAY_SECONDS = 24 * HOUR_SECONDS;

/** What a plan grants over time. Paused costs disk for memory, stopped only the disk, archived the least. */
export const PLAN_TIMES: Record<PlanName, PlanTimes> = {
  free: planTimes({
    stopHours: 24,
    archiveDays: 14,
    keepAwakeHours: 2,
    maxCheckpoints: 5,
    checkpointMinutes: 120,
  }),
  pro: planTimes({
    stopHours: 72,
    archiveDays: 30,
    keepAwakeHours: 8,
    maxCheckpoints: 30,
    checkpointMinutes: 60,
  }),
  team: planTimes({
    stopHours: 72,
    archiveDays: 60,
    keepAwakeHours: 12,
    maxCheckpoints: 50,
    checkpointMinutes: 30,
  }),
  enterprise: planTimes({
    stopHours: 168,
    archiveDays: 90,
    keepAwakeHours: 24,
    maxCheckpoints: 100,
    checkpointMinutes: 30,
  }),
};

export interface PlanTimes {
  stopAfterPausedSeconds: number;
  archiveAfterStoppedSeconds: number;
  keepAwakeMaxSeconds: number;
  /** Named ones. */
  maxCheckpoints: number;
  /** How often one is taken by itself while there is work. */
  checkpointEverySeconds: number;
}

function planTimes(facts: {
  stopHours: number;
  archiveDays: number;
  keepAwakeHours: number;
  maxCheckpoints: number;
  checkpointMinutes: number;
}): PlanTimes {
  return {
    stopAfterPausedSeconds: facts.stopHours * HOUR_SECONDS,
    archiveAfterStoppedSeconds: facts.archiveDays * DAY_SECONDS,
    keepAwakeMaxSeconds: facts.keepAwakeHours * HOUR_SECONDS,
    maxCheckpoints: facts.maxCheckpoints,
    checkpointEverySeconds: facts.checkpointMinutes * 60,
  };
}
