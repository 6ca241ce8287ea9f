import { spawnSync } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "@atoll/base/clock";
import { expect, it } from "vitest";
import { GuestLeases } from "./guest-leases.ts";

const COMMAND = join(import.meta.dirname, "../../../../vm-images/base/rootfs/usr/local/bin/atoll");

async function atoll() {
  const folder = await mkdtemp(join(tmpdir(), "atoll-leases-"));
  return {
    folder,
    run(...args: string[]) {
      const { status, stdout, stderr } = spawnSync("sh", [COMMAND, ...args], {
        env: { PATH: "/usr/bin:/bin", ATOLL_LEASES: folder },
        encoding: "utf8",
      });
      return { status, stdout, stderr };
    },
    leases: new GuestLeases({ folder, clock: systemClock }),
    async [Symbol.asyncDispose]() {
      await rm(folder, { recursive: true, force: true });
      await rm(`${folder}-max`, { force: true });
    },
  };
}

it.each([
  ["90m", 5400],
  ["2h", 7200],
  ["1h30m", 5400],
  ["1h1m1s", 3661],
  ["08m", 480],
  ["24h", 86_400],
])("keeps awake for %s", async (time, seconds) => {
  await using one = await atoll();
  const nowMs = Date.now();
  expect(one.run("keep-awake", time, "a", "long build")).toMatchObject({ status: 0, stderr: "" });
  const [lease] = await one.leases.read();
  expect(lease?.detail).toBe("a long build");
  expect((lease?.untilMs ?? 0) - nowMs).toBeGreaterThanOrEqual((seconds - 1) * 1000);
  expect((lease?.untilMs ?? 0) - nowMs).toBeLessThanOrEqual((seconds + 30) * 1000);
});

it.each([
  [["keep-awake"], /for how long/],
  [["keep-awake", "90"], /'90' is no time/],
  [["keep-awake", "soon"], /'soon' is no time/],
  [["keep-awake", "-5m"], /is no time/],
  [["keep-awake", "1m1h"], /is no time/],
  [["keep-awake", "h"], /is no time/],
  [["keep-awake", "$(reboot)h"], /is no time/],
  [["keep-awake", "10s"], /too short/],
  [["keep-awake", "25h"], /at most 24h/],
  [["keep-awake", "9999999h"], /is no time/],
  [["keep-awake", "1h", "x".repeat(81)], /too long/],
  [["keep-awake", "1h", "two\nlines"], /one line/],
  [["keep-awake", "off", "now"], /nothing more/],
  [["status", "all"], /nothing more/],
  [["sleep"], /no command 'sleep'/],
  [[], /usage/],
])("refuses %j clearly, with status 2 and without a lease", async (args, message) => {
  await using one = await atoll();
  const { status, stderr } = one.run(...args);
  expect(status).toBe(2);
  expect(stderr).toMatch(message);
  expect(await readdir(one.folder)).toEqual([]);
});

it("ends all leases, lists those there are, and has room for sixteen", async () => {
  await using one = await atoll();
  for (let index = 0; index < 16; index++) expect(one.run("keep-awake", "1h", `no. ${index}`).status).toBe(0);
  expect(one.run("keep-awake", "1h")).toMatchObject({
    status: 1,
    stderr: expect.stringMatching(/16 leases/),
  });
  expect(one.run("status").stdout).toMatch(/\(60 min\) {2}no\. 7\n/);
  expect(one.run("keep-awake", "off").status).toBe(0);
  expect(await one.leases.read()).toEqual([]);
  expect(one.run("status").stdout).toMatch(/Leases:\n {2}none\n/);
});

it("promises no more than the plan allows, and says so", async () => {
  await using one = await atoll();
  expect(one.run("status").stdout).not.toMatch(/plan/);
  one.leases.announceMax(7200);
  expect(one.run("keep-awake", "2h").stdout).toMatch(/stays awake until [^(]*\.\n$/);
  const nowMs = Date.now();
  expect(one.run("keep-awake", "8h", "tests")).toMatchObject({
    status: 0,
    stdout: expect.stringMatching(/: 2h, the most its plan allows \(8h was asked for\)\.\n$/),
  });
  const leases = await one.leases.read();
  expect(leases).toHaveLength(2);
  for (const { untilMs } of leases) expect(untilMs).toBeLessThanOrEqual(nowMs + 7_230_000);
  expect(one.run("status").stdout).toMatch(/The plan allows a lease of 2h\.\n/);
  one.leases.announceMax(5400);
  expect(one.run("status").stdout).toMatch(/a lease of 1h30m\.\n/);
  await writeFile(`${one.folder}-max`, "7200; reboot\n");
  expect(one.run("keep-awake", "8h").stdout).not.toMatch(/plan/);
});

it("clears away what has ended, and leaves alone what it does not know", async () => {
  await using one = await atoll();
  await writeFile(join(one.folder, "lease.old"), "1000\nlong ago\n");
  await writeFile(join(one.folder, "note"), "buy milk\n");
  expect(one.run("status").status).toBe(0);
  expect(await readdir(one.folder)).toEqual(["note"]);
  expect(await readFile(join(one.folder, "note"), "utf8")).toBe("buy milk\n");
});

it("helps", async () => {
  await using one = await atoll();
  expect(one.run("--help")).toMatchObject({ status: 0, stdout: expect.stringMatching(/keep-awake <time>/) });
});
