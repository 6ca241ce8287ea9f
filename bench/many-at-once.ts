import { randomUUID } from "node:crypto";
import { availableParallelism } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { LimitedTurns } from "@atoll/base/limited-turns";
import { makeBareDisk, startBareMachine } from "./b0.ts";
import type { LifecycleOptions } from "./lifecycle.ts";
import { timedMs } from "./statistics.ts";

export const FORKS = 30;
/** What the host makes ahead is no part of anybody's time: machines tell when they are ready, the rest follows them. */
const REST_MS = 4000;
/** One round takes a minute. */
const ROUNDS = 3;
/** Single ones in a round, ours and bare in turn. */
const ONES = 3;

/**
 * All asked for at once, beside one alone and beside as many bare machines; and those beside one bare.
 * @param create answers how long it took for all of these
 */
export async function manyAtOnce(
  { host, bare, add, poolSize }: LifecycleOptions,
  name: string,
  create: (ids: readonly string[]) => Promise<number>,
): Promise<void> {
  const rested = async () => {
    await host.ready(poolSize);
    await delay(REST_MS);
  };
  const createMs = async (count: number) => {
    await rested();
    const ids = Array.from({ length: count }, () => randomUUID());
    const ms = await create(ids);
    await Promise.all(ids.map((id) => host.delete(id)));
    return ms;
  };
  const turns = new LimitedTurns({ atOnce: availableParallelism() });
  const { signal } = new AbortController();
  // Like ours these all live until the last one is there: they take turns in starting, not in being.
  const bareMs = async (count: number) => {
    const disks = await Promise.all(Array.from({ length: count }, () => makeBareDisk(bare)));
    await rested();
    await using machines = new AsyncDisposableStack();
    const start = (disk: string) =>
      turns.run("bare", signal, async () => machines.use(await startBareMachine(bare, disk)));
    // Awaited here: they end when this returns.
    return await timedMs(() => Promise.all(disks.map(start)));
  };
  const [all, one, allBare, oneBare]: [number[], number[], number[], number[]] = [[], [], [], []];
  for (let round = 0; round <= ROUNDS; round++) {
    const samples = [await createMs(FORKS), await bareMs(FORKS)] as const;
    const ones: [number, number][] = [];
    while (ones.length < ONES) ones.push([await createMs(1), await bareMs(1)]);
    if (round === 0) continue;
    all.push(samples[0]);
    allBare.push(samples[1]);
    one.push(...ones.map(([ours]) => ours));
    oneBare.push(...ones.map(([, bare]) => bare));
  }
  const row = { name, unit: "ms", ours: all } as const;
  add({ ...row, reference: { name: "one", samples: one }, goal: { atMost: 16, of: "ratio" } });
  // What the cores allow: nothing but bare machines, each core kept busy.
  const bareName = `${FORKS} bare machines, all restored`;
  add({
    ...row,
    name: `${name}, beside bare ones`,
    reference: { name: bareName, samples: allBare },
    goal: undefined,
  });
  add({
    ...{ name: `${bareName}, measured with ${name}`, unit: "ms", ours: allBare },
    reference: { name: "one bare restore", samples: oneBare },
    goal: undefined,
  });
}
