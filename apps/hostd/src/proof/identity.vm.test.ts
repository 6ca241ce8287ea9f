/** I13 on real machines: what begins from one template or one memory is somebody else from its first step on. */
import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { WorkspaceStatus } from "@atoll/protocol/workspace-status";
import { afterAll, beforeAll, expect, test } from "vitest";
import { HostdProcess } from "./testing/hostd-process.ts";

/** Each line must differ between any two machines. */
const FACTS = [
  "head -c 32 /dev/urandom | od -An -vtx1 | tr -d ' \\n'; echo",
  "cat /proc/sys/kernel/random/uuid",
  "cat /etc/machine-id",
  "hostname",
];
const NAMES = ["random bytes", "kernel uuid", "machine id", "hostname"];
/**
 * What a server would do while it is copied: take the time and a random number for everything it does. The time twice,
 * because the copy is taken in the middle of a step.
 */
const SERVER =
  'i=0; while :; do i=$((i+1)); echo "$i $(date +%s%3N) $(cat /proc/sys/kernel/random/uuid) $(date +%s%3N)"; done';
/** Between a memory and the machines that begin from it, so that a step taken with its old clock is known by its time. */
const AGE_MS = 5000;
/** A guest's clock may be off by so much. */
const CLOCK_TOLERANCE_MS = 1000;

let hostd: HostdProcess;

beforeAll(async () => {
  hostd = await HostdProcess.start({ ATOLL_POOL_SIZE: "0" });
});
afterAll(() => hostd?.[Symbol.asyncDispose]());

async function factsOf(workspace: WorkspaceStatus): Promise<string[]> {
  const facts = (await hostd.shell(workspace, FACTS.join("; "))).split("\n");
  expect(facts).toHaveLength(FACTS.length);
  for (const fact of facts) expect(fact.length).toBeGreaterThan(3);
  return facts;
}

async function expectToDiffer(workspaces: readonly WorkspaceStatus[]): Promise<void> {
  const facts = await Promise.all(workspaces.map(factsOf));
  for (const [index, name] of NAMES.entries()) {
    const values = facts.map((one) => one[index]);
    expect(new Set(values).size, `${name}: ${values.join(", ")}`).toBe(values.length);
  }
}

test("two restores of one template and two live forks with memory share neither randomness nor name", {
  timeout: 600_000,
}, async () => {
  const first = await hostd.create({ slug: "first-reef" });
  const second = await hostd.create({ slug: "second-reef" });
  // A process of the first whose memory its forks go on with.
  const counter =
    "setsid sh -c 'while :; do n=$((n+1)); echo $n >/dev/shm/ticks; sleep 0.2; done' >/dev/null 2>&1 &";
  const pid = await hostd.shell(first, `echo kept >/dev/shm/kept; ${counter} echo $!`);
  const origin = { kind: "workspace" as const, workspaceId: first.workspaceId };
  const forks: WorkspaceStatus[] = [];
  for (const slug of ["third-reef", "fourth-reef"]) forks.push(await hostd.create({ slug, origin }));
  for (const fork of forks) {
    expect(fork).toMatchObject({ state: "running", startedBy: "fork" });
    expect(await hostd.shell(fork, `cat /dev/shm/kept; kill -0 ${pid} && echo alive`)).toBe("kept\nalive");
  }
  await expectToDiffer([first, second, ...forks]);
});

test("a program that runs while its machine is copied takes no step before the copy is somebody else", {
  timeout: 600_000,
}, async () => {
  const source = await hostd.create({ slug: "fifth-reef" });
  await hostd.shell(source, `setsid sh -c '${SERVER}' >/dev/shm/steps 2>/dev/null &`);
  const stepsOf = async (one: WorkspaceStatus) => (await hostd.shell(one, "cat /dev/shm/steps")).split("\n");
  await expect.poll(async () => (await stepsOf(source)).length, { timeout: 60_000 }).toBeGreaterThan(20);
  const checkpointId = randomUUID();
  const at = `/v1/workspaces/${source.workspaceId}/checkpoints/${checkpointId}`;
  await hostd.ask("PUT", at, { name: "once", withMemory: true });
  await delay(AGE_MS);

  const origin = { kind: "checkpoint" as const, workspaceId: source.workspaceId, checkpointId };
  const twins: WorkspaceStatus[] = [];
  const askedAtMs: number[] = [];
  for (const slug of ["sixth-reef", "seventh-reef"]) {
    askedAtMs.push(Date.now());
    twins.push(await hostd.create({ slug, origin }));
  }
  for (const twin of twins) {
    const atLeast = (await stepsOf(twin)).length + 2;
    await expect.poll(async () => (await stepsOf(twin)).length, { timeout: 60_000 }).toBeGreaterThan(atLeast);
  }
  const all = await Promise.all([source, ...twins].map(stepsOf));
  const [theirs = [], ...ours] = all;
  for (const [index, steps] of ours.entries()) {
    // What the memory held is the same in both; each goes on by itself, and the source went on at another time.
    const isOld = (step: string, at: number) => step === theirs[at];
    const oldCount = steps.findIndex((step, at) => !isOld(step, at));
    expect(oldCount).toBeGreaterThan(20);
    // That step had begun when the copy was taken: its end is new. Of the next one all is.
    const [number, , , endMs] = (steps[oldCount] ?? "").split(" ");
    const [, beginMs] = (steps[oldCount + 1] ?? "").split(" ");
    expect(Number(number)).toBe(oldCount + 1);
    for (const timeMs of [endMs, beginMs]) {
      expect(Number(timeMs)).toBeGreaterThanOrEqual((askedAtMs[index] ?? 0) - CLOCK_TOLERANCE_MS);
    }
  }
  const oldCounts = ours.map((steps) => steps.findIndex((step, at) => step !== theirs[at]));
  const oldCount = Math.min(...oldCounts);
  expect(oldCounts).toEqual([oldCount, oldCount]);
  // The step in between may have its number from before. Each old one is there three times, every other once.
  const numbers = all.flatMap((steps) => steps.toSpliced(oldCount, 1).map((step) => step.split(" ")[2]));
  expect(numbers.length - new Set(numbers).size).toBe(2 * oldCount);
  await expectToDiffer([source, ...twins]);
});
