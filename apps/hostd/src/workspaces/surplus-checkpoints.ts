import type { CheckpointInfo } from "@atoll/protocol/hostd-api";

const NEWEST_KEPT = 5;
const DAY_MS = 86_400_000;
/** Beyond it the one of each day goes too. */
const DAYS_KEPT = 30;

/**
 * Ids of checkpoints that nobody named and that are not worth their room: of automatic ones the newest few and the newest
 * of each day stay, never more than `limit`; of safety ones the newest few. Named ones are never among them.
 */
export function surplusCheckpoints(
  checkpoints: readonly CheckpointInfo[],
  limit: number,
  nowMs: number,
): string[] {
  const newestFirst = checkpoints.toSorted((a, b) => b.createdAtMs - a.createdAtMs);
  const automatic = newestFirst.filter(({ kind }) => kind === "automatic");
  const safety = newestFirst.filter(({ kind }) => kind === "safety");
  const days = new Set<number>();
  const kept = automatic.filter(({ createdAtMs }, index) => {
    const day = Math.floor(createdAtMs / DAY_MS);
    const isFirstOfDay = !days.has(day);
    days.add(day);
    return index < NEWEST_KEPT || (isFirstOfDay && nowMs - createdAtMs < DAYS_KEPT * DAY_MS);
  });
  const stays = new Set([...kept.slice(0, limit), ...safety.slice(0, NEWEST_KEPT)]);
  return [...automatic, ...safety].filter((one) => !stays.has(one)).map(({ checkpointId }) => checkpointId);
}
