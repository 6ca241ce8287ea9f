import type { SeededRandom } from "@atoll/hostd/proof/world/seeded-random";

/**
 * How a workspace leaves and comes back: within the grace time; sealed; paused for idleness; paused by hostd's own end;
 * or put back to a checkpoint, with its memory.
 */
export type CyclePath = "grace" | "sealed" | "idle" | "drain" | "restore";
export type Victim = "nobody" | "vmm" | "hostd" | "gateway" | "web";

export interface CyclePlan {
  path: CyclePath;
  victim: Victim;
  /** After the path was entered. */
  killAfterMs: number;
}

const PATHS: readonly CyclePath[] = ["grace", "sealed", "drain", "restore", "idle"];
/** Idle takes the meter's own time, so it comes less often. */
const DRAWN: readonly CyclePath[] = [
  ...["grace", "grace", "grace", "sealed", "sealed", "sealed", "drain", "restore", "restore"],
  "idle",
] as readonly CyclePath[];
const VICTIMS: readonly Victim[] = ["nobody", "hostd", "hostd", "vmm", "gateway", "web"];
/** Longest stretch of a path on a busy machine that a kill shall be able to hit. */
const KILL_WITHIN_MS = 2500;

/** Every path once without harm, then whatever the seed says. */
export function planCycle(index: number, random: SeededRandom): CyclePlan {
  const path = PATHS[index] ?? random.pick(DRAWN);
  const victim = index < PATHS.length ? "nobody" : random.pick(VICTIMS);
  return { path, victim, killAfterMs: random.below(KILL_WITHIN_MS) };
}
