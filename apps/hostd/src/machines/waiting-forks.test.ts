import { deferred } from "@atoll/base/deferred";
import { expect, test } from "vitest";
import type { MachineExit } from "../hypervisor/hypervisor.ts";
import { type ForkKind, WaitingForks } from "./waiting-forks.ts";

const kind = (templateId: string) => ({ template: { templateId, size: { memoryMb: 512 } } }) as ForkKind;

function waitingForks() {
  const live = new Map<string, { end: () => void }>();
  let made = 0;
  const forks = new WaitingForks({
    make: async ({ template }) => {
      const diskId = `${template.templateId}-${++made}`;
      const { promise: exited, resolve } = deferred<MachineExit>();
      live.set(diskId, { end: () => resolve({ reason: "crashed", detail: "" }) });
      return { machine: { exited }, directory: { diskId } };
    },
    discard: async ({ directory }) => void live.delete(directory.diskId),
    onFault: (error) => {
      throw error;
    },
  });
  return {
    forks,
    live,
    ask: async (templateId: string) => {
      const taken = forks.take(kind(templateId))?.directory.diskId;
      forks.refill();
      await forks.settled();
      return taken;
    },
  };
}

test("one waits of each kind that was forked last, none before, and each is taken once", async () => {
  const { forks, live, ask } = waitingForks();
  forks.refill();
  await forks.settled();
  expect(live.size).toBe(0);
  expect(await ask("a")).toBeUndefined();
  expect([await ask("a"), await ask("a")]).toEqual(["a-1", "a-2"]);
  expect(await ask("b")).toBeUndefined();
  expect([forks.diskIds, forks.readyMemoryMb]).toEqual([["a-3", "b-4"], 1024]);
  await ask("c");
  expect(forks.diskIds).toEqual(["b-4", "c-5"]);
  await forks[Symbol.asyncDispose]();
  expect([...live.keys()]).toEqual(["a-1", "a-2"]);
});

test("one whose process ends is made anew with the next refill", async () => {
  const { forks, live, ask } = waitingForks();
  await ask("a");
  live.get("a-1")?.end();
  await expect.poll(() => live.size).toBe(0);
  expect(await ask("a")).toBeUndefined();
  expect(forks.diskIds).toEqual(["a-2"]);
  await forks[Symbol.asyncDispose]();
});
