import { availableParallelism } from "node:os";
import { expect, test } from "vitest";
import { MachinePool, type PoolItem, type PoolKind } from "./machine-pool.ts";

const KIND = { template: { templateId: "t", size: { memoryMb: 512 } } } as unknown as PoolKind;

/** Makes a machine only when it is told to. */
function slowPool() {
  const launches: Array<() => void> = [];
  const pool = new MachinePool({
    make: () =>
      new Promise((resolve) => {
        launches.push(() => resolve({ templateId: "t" } as PoolItem));
      }),
    discard: async () => {},
    onFault: (error) => {
      throw error;
    },
  });
  return { pool, launches };
}

const somebody = (signal = new AbortController().signal) => ({ ownerId: "somebody", signal });

test("many who find nothing ready are served in turns, no more at once than there are cores", async () => {
  const { pool, launches } = slowPool();
  const atOnce = availableParallelism();
  const claims = Array.from({ length: 3 * atOnce }, () => pool.claim(KIND, somebody()));
  await expect.poll(() => launches.length).toBe(atOnce);
  for (let served = 0; served < claims.length; served += 1) {
    launches[served]?.();
    await expect.poll(() => launches.length).toBe(Math.min(claims.length, served + 1 + atOnce));
  }
  expect(await Promise.all(claims)).toHaveLength(3 * atOnce);
});

test("nothing is made for who gave up waiting", async () => {
  const { pool, launches } = slowPool();
  const atOnce = availableParallelism();
  const claims = Array.from({ length: atOnce }, () => pool.claim(KIND, somebody()));
  const impatient = new AbortController();
  const given = pool.claim(KIND, somebody(impatient.signal));
  impatient.abort(new Error("gone"));
  await expect(given).rejects.toThrow("gone");
  for (const launch of launches) launch();
  await Promise.all(claims);
  expect(launches).toHaveLength(atOnce);
});
