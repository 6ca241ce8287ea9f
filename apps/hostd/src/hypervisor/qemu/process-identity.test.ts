import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";
import { isAlive, isStopped, killProcess, startTicksOf } from "./process-identity.ts";

async function sleeper() {
  const child = spawn("sleep", ["60"], { stdio: "ignore" });
  await once(child, "spawn");
  const exited = once(child, "exit");
  return { pid: child.pid as number, exited, kill: () => child.kill("SIGKILL") };
}

test("a process is known by pid and start, and killed only as that", async () => {
  const child = await sleeper();
  const { pid } = child;
  const startTicks = startTicksOf(pid) as string;
  const recycled = { pid, startTicks: `${Number(startTicks) - 1}` };
  expect([isAlive({ pid, startTicks }), isAlive(recycled)]).toEqual([true, false]);
  await killProcess(recycled);
  expect(isAlive({ pid, startTicks })).toBe(true);
  await killProcess({ pid, startTicks });
  await child.exited;
  expect(startTicksOf(pid)).toBeUndefined();
  await killProcess({ pid, startTicks });
});

test("a process that was stopped is told from one that only waits, and ends all the same", async () => {
  const child = await sleeper();
  const { pid } = child;
  const identity = { pid, startTicks: startTicksOf(pid) as string };
  expect(isStopped(identity)).toBe(false);
  process.kill(pid, "SIGSTOP");
  await expect.poll(() => isStopped(identity)).toBe(true);
  expect([isAlive(identity), isStopped({ ...identity, startTicks: "1" })]).toEqual([true, false]);
  await killProcess(identity);
  await child.exited;
  expect(isStopped(identity)).toBe(false);
});
