import { AtollError } from "@atoll/protocol/atoll-error";
import { expect, test, vi } from "vitest";
import { MemoryLedger } from "../checkpoints/captured-memory.ts";
import { requireLocal, type SharedMemory } from "../checkpoints/local-point.ts";
import type { LiveWorkspace } from "../testing/live-workspace.ts";
import { templateForMany } from "../testing/template-for-many.ts";
import { TestSource } from "../testing/test-source.ts";
import { sharedMemory } from "./memory-base.ts";
import { KEPT_FOR_MS, UnpackedMemories } from "./unpacked-memories.ts";

/** Its guest has counted once. */
async function template(options: Parameters<typeof TestSource.open>[0] = {}) {
  const at = await TestSource.open(options);
  const made = await templateForMany(at, ({ guest }) => guest.count());
  return {
    ...{ ...made, at, unpack: vi.spyOn(at.hypervisor, "unpack") },
    [Symbol.asyncDispose]: () => at[Symbol.asyncDispose](),
  };
}

const counted = ({ guest }: LiveWorkspace) => guest.count();

test("those who begin at one time and later share one unpacking, and each goes on by itself", async () => {
  await using made = await template();
  const [first, second] = await Promise.all([made.begin(), made.begin()]);
  const third = await made.begin();
  expect(made.unpack).toHaveBeenCalledOnce();
  expect(await counted(first)).toBe(await counted(second));
  expect(await counted(first)).toBe((await counted(third)) + 1);
  expect(first.machine?.record.templateId).toBeNull();
});

test("a machine that began from shared memory comes back from its own snapshot", async () => {
  await using made = await template();
  const fork = await made.begin();
  const count = await counted(fork);
  const snapshot = await fork.pause();
  await made.workspace.destroy();
  await fork.resume(snapshot);
  expect(await counted(fork)).toBe(count + 1);
});

test("what was unpacked counts as used memory, is kept for those who come next, and then goes", async () => {
  await using made = await template();
  const { at } = made;
  await made.begin();
  at.clock.advance(KEPT_FOR_MS - 1);
  await made.begin();
  expect(at.source.readyMemoryMb).toBe(1);
  at.clock.advance(KEPT_FOR_MS - 1);
  expect(at.hypervisor.unpacked.size).toBe(1);
  at.clock.advance(1);
  await expect.poll(() => at.hypervisor.unpacked.size).toBe(0);
  await expect.poll(() => at.source.readyMemoryMb).toBe(0);
  await made.begin();
  expect(made.unpack).toHaveBeenCalledTimes(2);
});

test("erasing the origin takes what was unpacked of it, also from under a start, and nothing is unpacked of it again", async () => {
  await using made = await template();
  const { at, workspace } = made;
  await made.begin();
  await using late = await made.open();
  const launching = Promise.withResolvers<void>();
  const erased = Promise.withResolvers<void>();
  const launch = at.hypervisor.launch.bind(at.hypervisor);
  vi.spyOn(at.hypervisor, "launch").mockImplementationOnce(async (spec) => {
    launching.resolve();
    await erased.promise;
    return launch(spec);
  });
  const beginning = made.begin();
  await launching.promise;
  await workspace.destroy();
  expect(at.hypervisor.unpacked.size).toBe(1);
  erased.resolve();
  await counted(await beginning);
  expect(at.hypervisor.unpacked.size).toBe(0);
  expect(at.source.readyMemoryMb).toBe(0);

  const [memoryLedger, onFault] = [new MemoryLedger(1e9), () => {}];
  const memories = new UnpackedMemories({
    hypervisor: at.hypervisor,
    memoryLedger,
    clock: at.clock,
    onDropped: async () => {},
    onFault,
  });
  expect(await memories.lend(sharedMemory(requireLocal(late)) as SharedMemory, undefined)).toBeUndefined();
  expect([made.unpack.mock.calls.length, memoryLedger.usedBytes]).toEqual([1, 0]);
});

test("what is dropped while it is lent goes once, also when it is given back in the middle of that", async () => {
  await using made = await template();
  await using point = await made.open();
  const memory = sharedMemory(requireLocal(point)) as SharedMemory;
  const memoryLedger = new MemoryLedger(1e9);
  let lent: AsyncDisposable | undefined;
  const memories = new UnpackedMemories({
    hypervisor: made.at.hypervisor,
    memoryLedger,
    clock: made.at.clock,
    onDropped: async () => lent?.[Symbol.asyncDispose](),
    onFault: () => {},
  });
  lent = await memories.lend(memory, undefined);
  expect(memoryLedger.usedBytes).toBe(memory.sizeBytes);
  await memories.dropOf(memory.directory.diskId);
  expect([memoryLedger.usedBytes, memories.usedMb, made.at.hypervisor.unpacked.size]).toEqual([0, 0, 0]);
});

test("without room to share, each machine reads the memory for itself", async () => {
  await using made = await template({ source: { capturedMemoryMaxBytes: 200 } });
  // Takes what there is.
  await using _captured = await made.workspace.capture();
  await using other = await template();
  other.unpack.mockRejectedValue(new AtollError("host.full"));
  for (const one of [made, other]) expect(await counted(await one.begin())).toBe(2);
  expect(made.unpack).not.toHaveBeenCalled();
  expect(other.at.source.readyMemoryMb).toBe(0);
});

test("a fault of sharing is told, and each machine reads the memory for itself", async () => {
  await using made = await template();
  const fault = Object.assign(new Error("of the memory-backed space"), { code: "EIO" });
  made.unpack.mockRejectedValueOnce(fault);
  expect(await counted(await made.begin())).toBe(2);
  expect(made.at.faults).toEqual([fault]);
  expect(made.at.source.readyMemoryMb).toBe(0);
});

test("damaged memory is noticed while it is unpacked: who begins there boots, and the fault is told", async () => {
  await using made = await template();
  const damage = new AtollError("checkpoint.damaged");
  made.unpack.mockRejectedValueOnce(damage);
  const booted = await made.begin();
  expect(await counted(booted)).toBe(1);
  expect(made.at.faults).toEqual([damage]);
  expect(made.at.source.readyMemoryMb).toBe(0);
});

test("the end of the host's process takes what was unpacked", async () => {
  await using made = await template();
  await made.begin();
  await made.at.source[Symbol.asyncDispose]();
  expect(made.at.hypervisor.unpacked.size).toBe(0);
});
