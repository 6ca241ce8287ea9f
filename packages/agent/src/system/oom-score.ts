import { writeFileSync } from "node:fs";

/** When memory runs out the kernel must take a user's program and not the one thing that can tell them so. */
const AGENT_SCORE = -900;

export function protectFromOutOfMemory(): void {
  setScore("self", AGENT_SCORE);
}

/** Children inherit the protection. Called right after a program was started. */
export function exposeToOutOfMemory(pid: number): void {
  setScore(pid, 0);
}

function setScore(process: number | "self", score: number): void {
  try {
    writeFileSync(`/proc/${process}/oom_score_adj`, String(score));
  } catch {
    // The program is gone already, or this is no guest and scores may not be changed.
  }
}
