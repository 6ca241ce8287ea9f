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

export const PLAN_NAMES = Object.keys(PLANS) as PlanName[];
