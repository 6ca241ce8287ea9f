import { ManualClock } from "@atoll/base/manual-clock";
import type { MachineSize } from "@atoll/protocol/plans";
import { expect, test } from "vitest";
import type { Machine } from "../hypervisor/hypervisor.ts";
import type { PoolItem, PoolKind } from "./machine-pool.ts";
import { ReadyMachines, type ReadyMachinesOptions } from "./ready-machines.ts";

const WARM = { cpus: 1, memoryMb: 512, diskMb: 2048 };

function ready() {
  const clock = new ManualClock();
  const machine = { exited: new Promise<never>(() => {}) } as unknown as Machine;
  const live = new Set<PoolItem>();
  const starts = { isUnderWay: false };
  const options = {
    isStarting: () => starts.isUnderWay,
    images: { byName: async () => ({ key: "image" }) },
    templates: {
      provide: async (_image: unknown, size: MachineSize) => ({ templateId: `t${size.memoryMb}`, size }),
    },
    layers: { keep: () => {}, refill: () => {}, settled: async () => {} },
    forks: { refill: () => {}, settled: async () => {}, readyMemoryMb: 0, diskIds: [] },
    warm: { image: "base", size: WARM },
    poolSize: 2,
    clock,
    make: async ({ template }: PoolKind) => {
      const item = {
        diskId: "d",
        linkToken: "",
        key: new Uint8Array(),
        templateId: template.templateId,
        machine,
      };
      live.add(item);
      return item;
    },
    discard: async (item: PoolItem) => void live.delete(item),
    onFault: (error: unknown) => {
      throw error;
    },
  };
  const machines = new ReadyMachines(options as unknown as ReadyMachinesOptions);
  return {
    clock,
    starts,
    machines,
    live,
    /** Somebody asks for a machine of this size, and has it. */
    use: async (memoryMb: number) => {
      const kind = await machines.kindFor("base", { ...WARM, memoryMb });
      const claimant = { ownerId: "somebody", signal: new AbortController().signal };
      live.delete(await machines.claim(kind, claimant));
      machines.refillSoon(kind);
      clock.advance(5000);
      await machines.settled();
    },
  };
}

test("of sizes that nobody expected the three asked for last are kept, whatever is asked for", async () => {
  const { machines, live, use } = ready();
  machines.warm();
  await machines.settled();
  const waiting = () => [...live].map(({ templateId }) => templateId).sort();
  for (let memoryMb = 1000; memoryMb < 1050; memoryMb++) await use(memoryMb);
  expect(waiting()).toEqual(["t1047", "t1048", "t1049", "t512", "t512"]);
  await use(1047);
  await use(2000);
  expect(waiting()).toEqual(["t1047", "t1049", "t2000", "t512", "t512"]);
  expect(machines.readyMemoryMb).toBe(2 * 512 + 1047 + 1049 + 2000);
  await machines[Symbol.asyncDispose]();
  expect(live.size).toBe(0);
});

test("what was claimed is made up for when nobody waits for a start any more, or after a minute", async () => {
  const { machines, live, use, clock, starts } = ready();
  machines.warm();
  await machines.settled();
  starts.isUnderWay = true;
  await use(512);
  expect(live.size).toBe(1);
  starts.isUnderWay = false;
  clock.advance(5000);
  await machines.settled();
  expect(live.size).toBe(2);
  starts.isUnderWay = true;
  for (let seconds = 0; seconds < 60; seconds += 5) await use(seconds === 0 ? 512 : 1024);
  expect(live.size).toBe(3);
  await machines[Symbol.asyncDispose]();
});
