import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { afterEach, expect, it, vi } from "vitest";
import { DatabaseKeeper } from "./database-keeper.ts";
import { identify } from "./process-identity.ts";

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** Any process that does nothing stands for the server. */
function keep(start: (attempt: number) => void, lookIntervalMs = 5) {
  const notes: string[] = [];
  let server: ChildProcess | undefined;
  let attempts = 0;
  const launch = () => {
    server = spawn("sleep", ["600"]);
    cleanups.push(() => server?.kill("SIGKILL"));
  };
  launch();
  const keeper = new DatabaseKeeper({
    lookIntervalMs,
    start: async () => {
      attempts += 1;
      start(attempts);
      launch();
    },
    find: () => identify(server?.pid ?? 0),
    onNote: (text) => notes.push(text),
  });
  cleanups.push(() => keeper.close());
  const kill = async () => {
    const ended = server && once(server, "exit");
    server?.kill("SIGKILL");
    await ended;
  };
  return { keeper, kill, notes, pid: () => server?.pid, attempts: () => attempts };
}

it("starts a server that was killed again, every time", async () => {
  const kept = keep(() => {});
  for (const attempt of [1, 2]) {
    await kept.kill();
    await vi.waitUntil(() => kept.attempts() === attempt && identify(kept.pid() ?? 0) !== undefined);
  }
  expect(kept.notes).toEqual(Array(2).fill("The database ended; starting it again"));
});

it("goes on trying while what is left of the one before is in its way", async () => {
  const kept = keep((attempt) => {
    if (attempt < 3) throw new Error("memory is in use");
  });
  await kept.kill();
  await vi.waitUntil(() => kept.attempts() === 3);
  expect(kept.notes).toContain("The database does not start: memory is in use");
});

it("starts nothing once it is closed, and does not wait for its next look", async () => {
  const kept = keep(() => {}, 600_000);
  await kept.kill();
  await kept.keeper.close();
  expect(kept.attempts()).toBe(0);
});
