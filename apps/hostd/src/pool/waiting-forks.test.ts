import { expect, test } from "vitest";
import type { ForkHalf, ForkKind } from "../machines/fork-half.ts";
import { WaitingForks } from "./waiting-forks.ts";

function forks(readyPerKind = 1) {
  const kept = new Set<string>();
  const live = new Set<ForkHalf>();
  const waiting = new WaitingForks({
    make: async (kind) => {
      const half = {
        kind,
        machine: { exited: new Promise(() => {}) },
        directory: { diskId: "d" },
      } as unknown as ForkHalf;
      live.add(half);
      return half;
    },
    discard: async (half) => void live.delete(half),
    readyPerKind,
    isKept: (baseId) => kept.has(baseId),
    onFault: (error) => {
      throw error;
    },
  });
  const filled = async () => {
    waiting.refill();
    await waiting.settled();
    return [...live].map(({ kind }) => kind.size.memoryMb).sort((a, b) => a - b);
  };
  return { waiting, live, filled, kept };
}

const kindOf = (memoryMb: number, baseId: string | null = null) =>
  ({
    template: { templateId: "t" },
    isOverTemplate: baseId === null,
    baseId,
    imageKey: "image",
    size: { cpus: 1, memoryMb, diskMb: 2048 },
  }) as unknown as ForkKind;

test("one waits of each of the two kinds that were forked last, and none before", async () => {
  const { waiting, live, filled } = forks();
  expect(await filled()).toEqual([]);
  for (const memoryMb of [512, 1024]) expect(waiting.take(kindOf(memoryMb))).toBeUndefined();
  expect(await filled()).toEqual([512, 1024]);
  expect([waiting.readyCount, waiting.readyMemoryMb]).toEqual([2, 1536]);
  const taken = waiting.take(kindOf(512));
  expect(taken?.kind.size.memoryMb).toBe(512);
  if (taken !== undefined) live.delete(taken);
  expect(waiting.take(kindOf(2048))).toBeUndefined();
  expect(await filled()).toEqual([512, 2048]);
  await waiting[Symbol.asyncDispose]();
  expect(live.size).toBe(0);
});

test("one waits over a memory that is shared while that lies unpacked, and none after it was dropped", async () => {
  const { waiting, filled, kept } = forks();
  for (const baseId of [null, "a"]) expect(waiting.take(kindOf(512, baseId))).toBeUndefined();
  expect(await filled()).toEqual([512]);
  kept.add("a");
  expect(await filled()).toEqual([512, 512]);
  kept.delete("a");
  await waiting.dropOf("a");
  expect(await filled()).toEqual([512]);
  expect(waiting.take(kindOf(512, "a"))).toBeUndefined();
  expect(waiting.take(kindOf(512))?.kind.baseId).toBeNull();
});

test("a host that keeps nothing ready has none", async () => {
  const { waiting, filled } = forks(0);
  expect(waiting.take(kindOf(512))).toBeUndefined();
  expect(await filled()).toEqual([]);
});
