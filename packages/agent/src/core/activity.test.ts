import { chmod, mkdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ManualClock } from "@atoll/base/manual-clock";
import { call, openChannel } from "@atoll/protocol/call";
import { coreActivity } from "@atoll/protocol/messages/core";
import { terminalAttach, terminalClose, terminalOpen } from "@atoll/protocol/messages/terminal";
import { describe, expect, it } from "vitest";
import { type TestGuest, testGuest } from "../testing/test-guest.ts";
import { isWork } from "./foreground.ts";
import { GuestLeases } from "./guest-leases.ts";

const activity = (guest: TestGuest) => call(guest.client, coreActivity, {});

/** A shell, and a function that types into it. */
async function shell(guest: TestGuest, argv = ["bash", "--norc", "--noprofile"]) {
  const { terminalId } = await call(guest.client, terminalOpen, { cols: 80, rows: 24, argv });
  const { stream } = await openChannel(guest.client, terminalAttach, { terminalId });
  return {
    terminalId,
    type: (text: string) => stream.write(Buffer.from(text)),
    close: () => call(guest.client, terminalClose, { terminalId }),
  };
}

describe("foreground", () => {
  it("is a job in front of the shell, from its start to its end, and never the prompt", async () => {
    await using guest = await testGuest();
    const terminal = await shell(guest);
    expect((await activity(guest)).foreground).toEqual([]);
    await terminal.type("sleep 1000\n");
    await expect
      .poll(async () => (await activity(guest)).foreground)
      .toEqual([{ terminalId: terminal.terminalId, command: "sleep" }]);
    await terminal.type("\x03");
    await expect.poll(async () => (await activity(guest)).foreground).toEqual([]);
    await terminal.close();
  });

  it("is not a job in the background, nor one that was stopped", async () => {
    await using guest = await testGuest();
    const terminal = await shell(guest);
    await terminal.type("sleep 1000 &\nsleep 1001\n");
    await expect.poll(async () => (await activity(guest)).foreground).toHaveLength(1);
    await terminal.type("\x1a");
    await expect.poll(async () => (await activity(guest)).foreground).toEqual([]);
    await terminal.type("kill %1 %2\n");
    await terminal.close();
  });

  it("is a pipeline whose first program has ended", async () => {
    await using guest = await testGuest();
    const terminal = await shell(guest);
    await terminal.type("true | sleep 1000\n");
    await expect
      .poll(async () => (await activity(guest)).foreground.map(({ command }) => command))
      .toEqual(["sleep"]);
    await terminal.close();
  });

  it("is a program that a terminal was opened with, and nothing once it ended", async () => {
    await using guest = await testGuest();
    const terminal = await shell(guest, ["sleep", "1000"]);
    await expect.poll(async () => (await activity(guest)).foreground).toHaveLength(1);
    await terminal.type("\x03");
    await expect.poll(async () => (await activity(guest)).foreground).toEqual([]);
  });

  it.each([
    ["bash", [], false],
    ["-bash", [], false],
    ["bash", ["-l"], false],
    ["bash", ["build.sh"], true],
    ["sh", ["-c", "make"], true],
    ["sudo", ["-i"], false],
    ["sudo", ["make"], true],
    ["python3.13", [], false],
    ["python3", ["train.py"], true],
    ["node", [], false],
    ["node", ["--watch", "server.js"], true],
    ["vim", ["file"], false],
    ["less", ["file"], false],
    ["tmux", ["attach"], false],
    ["npm", ["test"], true],
    ["build.sh", [], true],
    ["ssh", ["host"], true],
  ])("%s %j waits for a person or works: %s", (command, args, expected) => {
    expect(isWork({ command, argv: [command, ...args] })).toBe(expected);
  });
});

it("tells the processor time of everybody else", async () => {
  await using guest = await testGuest();
  const before = (await activity(guest)).cpuMs;
  const terminal = await shell(guest);
  await terminal.type("while :; do :; done\n");
  await expect
    .poll(async () => (await activity(guest)).cpuMs - before, { timeout: 20_000 })
    .toBeGreaterThan(500);
  await terminal.close();
});

it("keeps for the `atoll` command what the plan allows, as it is told last", async () => {
  await using guest = await testGuest();
  await activity(guest);
  const path = join(guest.folder, ".leases-max");
  await expect(readFile(path)).rejects.toMatchObject({ code: "ENOENT" });
  for (const keepAwakeMaxSeconds of [7200, 7200, 600]) {
    await call(guest.client, coreActivity, { keepAwakeMaxSeconds });
    expect(await readFile(path, "utf8")).toBe(`${keepAwakeMaxSeconds}\n`);
  }
  // A user who took its place has changed nothing about the bound, and hinders nobody.
  await rm(path);
  await mkdir(path);
  await writeFile(join(path, "in the way"), "");
  expect(await call(guest.client, coreActivity, { keepAwakeMaxSeconds: 700 })).toMatchObject({ leases: [] });
});

describe("leases", () => {
  async function leases() {
    const guest = await testGuest();
    const clock = new ManualClock();
    const folder = join(guest.folder, "leases");
    await mkdir(folder);
    const nowSeconds = clock.now() / 1000;
    return {
      guest,
      clock,
      nowSeconds,
      reader: new GuestLeases({ folder, clock }),
      folder,
      write: (name: string, text: string) => writeFile(join(folder, name), text),
      [Symbol.asyncDispose]: () => guest[Symbol.asyncDispose](),
    };
  }

  it("are read from their files, the longest first, until they end", async () => {
    await using one = await leases();
    await one.write("lease.a", `${one.nowSeconds + 60}\nshort\n`);
    await one.write("lease.b", `${one.nowSeconds + 7200}\nlong build\n`);
    const [long, short] = [
      { detail: "long build", untilMs: (one.nowSeconds + 7200) * 1000 },
      { detail: "short", untilMs: (one.nowSeconds + 60) * 1000 },
    ];
    expect(await one.reader.read()).toEqual([long, short]);
    one.clock.advance(60_000);
    expect(await one.reader.read()).toEqual([long]);
  });

  it("are bounded in time, number and length, whatever is written there", async () => {
    await using one = await leases();
    for (let index = 0; index < 100; index++) {
      await one.write(`l${index}`, `${one.nowSeconds + 1e6}\n${"\x1b[31mx".repeat(30)}\n`);
    }
    const all = await one.reader.read();
    expect(all).toHaveLength(16);
    expect(all[0]?.untilMs).toBe((one.nowSeconds + 86_400) * 1000);
    expect(all[0]?.detail).toHaveLength(80);
    expect(all[0]?.detail).not.toContain("\x1b");
  });

  it("are no links to a device, no halves, and no rubbish", async () => {
    await using one = await leases();
    await symlink("/dev/zero", join(one.folder, "zero"));
    await mkdir(join(one.folder, "folder"));
    await one.write(".new.abc", `${one.nowSeconds + 60}\nhalf`);
    await one.write("words", "tomorrow\nx\n");
    await one.write("negative", "-5\nx\n");
    await one.write("huge", `${"9".repeat(400)}\nx\n`);
    await one.write("empty", "");
    expect(await one.reader.read()).toEqual([]);
    await chmod(one.folder, 0o700);
    expect(await new GuestLeases({ folder: join(one.folder, "absent"), clock: one.clock }).read()).toEqual(
      [],
    );
  });
});
