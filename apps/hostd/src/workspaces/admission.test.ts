import { expect, it } from "vitest";
import { Admission } from "./admission.ts";

it("keeps room on the disk for what writes to it, and lets what only looks in on a full one", async () => {
  const admission = new Admission({
    ...{ memoryMb: 1024, overcommit: 1, diskReserveBytes: 1000 },
    freeDiskBytes: async () => 999,
  });
  await expect(admission.reserve("one", 512)).rejects.toMatchObject({ code: "host.full" });
  await admission.reserve("view", 512, { needsDisk: false });
  await expect(admission.reserve("other view", 513, { needsDisk: false })).rejects.toMatchObject({
    code: "host.full",
  });
});

it("counts machines that wait as promised, and lets whoever takes one have its room", async () => {
  let waitingMb = 0;
  const admission = new Admission({
    ...{ memoryMb: 1024, overcommit: 1, diskReserveBytes: 0 },
    freeDiskBytes: async () => 1,
    waitingMb: () => waitingMb,
  });
  expect([admission.mayWait(512), admission.mayWait(2048)]).toEqual([true, false]);
  waitingMb = 1024;
  expect(admission.mayWait(1)).toBe(false);
  await admission.reserve("one", 512);
  // Taken: it waits no more.
  waitingMb = 512;
  expect(admission.mayWait(1)).toBe(false);
  await admission.reserve("two", 512);
  waitingMb = 0;
  await expect(admission.reserve("three", 1)).rejects.toMatchObject({ code: "host.full" });
  admission.release("one");
  expect(admission.mayWait(512)).toBe(true);
  waitingMb = 512;
  await expect(admission.reserve("three", 513)).rejects.toMatchObject({ code: "host.full" });
});
