import { resolve } from "node:path";

/** Short, so that a sealed pause does not wait long for it; long enough to be met on a busy machine. */
export const PAUSE_GRACE_SECONDS = 1.5;

/** What this process takes from its environment, and what it sets there for the services it starts. */
export function chaosEnv(): { cacheDirectory: string } {
  process.env.ATOLL_PAUSE_GRACE_SECONDS = String(PAUSE_GRACE_SECONDS);
  // Whatever lives on the host is the one workspace's.
  process.env.ATOLL_POOL_SIZE = "0";
  return { cacheDirectory: process.env.ATOLL_CACHE ?? resolve(import.meta.dirname, "../.data/cache") };
}
