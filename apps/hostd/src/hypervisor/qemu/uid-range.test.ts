import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";
import { UidRange } from "./uid-range.ts";

/** Nobody has these. */
const FIRST = 1_900_000_000;

test("each machine gets an id of its own until all are lent, and returned ones come round again", () => {
  const uids = new UidRange({ first: FIRST, count: 3 });
  expect([uids.lend(), uids.lend(), uids.lend()].sort()).toEqual([FIRST, FIRST + 1, FIRST + 2]);
  expect(() => uids.lend()).toThrow(expect.objectContaining({ code: "host.full" }));
  uids.giveBack(FIRST + 1);
  expect(uids.lend()).toBe(FIRST + 1);
});

test("an id of a machine found alive is not lent", () => {
  const uids = new UidRange({ first: FIRST, count: 2 });
  uids.claim(FIRST);
  expect(uids.lend()).toBe(FIRST + 1);
});

test("an id that any process has is not lent, whoever started it", async () => {
  const own = process.getuid?.() ?? 0;
  const child = spawn("sleep", ["60"], { stdio: "ignore" });
  try {
    await once(child, "spawn");
    const uids = new UidRange({ first: own, count: 1 });
    expect(() => uids.lend()).toThrow(expect.objectContaining({ code: "host.full" }));
  } finally {
    child.kill("SIGKILL");
    await once(child, "exit");
  }
});
