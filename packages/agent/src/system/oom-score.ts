import { writeFileSync } from "node:fs";

/** When memory runs out the kernel must take a user's program and not the one thing that can tell them so. */
const AGENT_SCORE = -900;

export function protectFromOutOfMemory(): void {
  writeFileSync("/proc/self/oom_score_adj", String(AGENT_SCORE));
}

/** Children inherit the protection. Called right after a program was started. */
export function exposeToOutOfMemory(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/oom_score_adj`, "0");
  } catch {
    // It is gone already, or this is no guest and the score may not be changed.
  }
}
