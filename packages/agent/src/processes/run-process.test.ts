import { createHash } from "node:crypto";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { AtollError } from "@atoll/protocol/atoll-error";
import { openChannel } from "@atoll/protocol/call";
import { PROCESSES_PER_WORKSPACE, STREAM_WINDOW_BYTES } from "@atoll/protocol/limits";
import type { ParamsOf } from "@atoll/protocol/message";
import { processRun } from "@atoll/protocol/messages/process";
import type { Mux } from "@atoll/protocol/mux";
import { describe, expect, it } from "vitest";
import { parseProcess } from "../system/read-processes.ts";
import { testGuest } from "../testing/test-guest.ts";

type Params = Partial<ParamsOf<typeof processRun>>;

async function start(client: Mux, argv: string[], params: Params = {}) {
  return openChannel(client, processRun, { argv, timeoutMs: 60_000, ...params });
}

async function finish(channel: Awaited<ReturnType<typeof start>>) {
  let out = "";
  let err = "";
  let exit: unknown;
  for await (const item of channel.items()) {
    if (item.kind === "event") exit = item.value;
    else if (exit !== undefined) throw new Error("output after exit");
    else if (item.isSecondary) err += Buffer.from(item.bytes).toString();
    else out += Buffer.from(item.bytes).toString();
  }
  return { out, err, exit };
}

async function run(client: Mux, argv: string[], params: Params = {}) {
  const channel = await start(client, argv, params);
  channel.stream.end();
  return finish(channel);
}

const exited = (exitCode: number) => ({ type: "exit", exitCode, signal: null, isTimedOut: false });
/** An ended program that nobody waited for yet is as dead as one that is gone. */
const isAlive = (pid: number) =>
  readFile(`/proc/${pid}/stat`, "latin1").then(
    (text) => parseProcess(text)?.isZombie === false,
    () => false,
  );

describe("process", () => {
  it("runs an argv without a shell and tells output and exit apart", async () => {
    await using guest = await testGuest();
    expect(await run(guest.client, ["printf", "%s", "$HOME `id`"])).toEqual({
      out: "$HOME `id`",
      err: "",
      exit: exited(0),
    });
    expect(guest.system.calls).toEqual(["join programs"]);
    const script = "echo out; echo err >&2; echo $EXTRA; pwd; exit 3";
    expect(await run(guest.client, ["sh", "-c", script], { env: { EXTRA: "more" } })).toEqual({
      out: `out\nmore\n${guest.folder}\n`,
      err: "err\n",
      exit: exited(3),
    });
  });

  it("passes input under backpressure and closes it at the caller's end", async () => {
    await using guest = await testGuest();
    const channel = await start(guest.client, ["sha256sum"]);
    await channel.stream.write(new Uint8Array(3_000_000));
    channel.stream.end();
    const { out } = await finish(channel);
    expect(out).toContain(createHash("sha256").update(new Uint8Array(3_000_000)).digest("hex"));
  });

  it("holds a program whose output nobody reads, and gives all of it later, before the exit", async () => {
    await using guest = await testGuest();
    const marker = join(guest.folder, "done");
    const total = 8 * STREAM_WINDOW_BYTES;
    const channel = await start(guest.client, ["sh", "-c", `head -c ${total} /dev/zero; : > ${marker}`]);
    channel.stream.end();
    await run(guest.client, ["true"]);
    expect(await readdir(guest.folder)).toEqual([]);
    const { out, exit } = await finish(channel);
    expect(out.length).toBe(total);
    expect(exit).toEqual(exited(0));
  });

  it("does not wait for what a program left in the background", async () => {
    await using guest = await testGuest();
    const { out, exit } = await run(guest.client, ["sh", "-c", "sleep 1000 & echo $!"]);
    expect(exit).toEqual(exited(0));
    expect(await isAlive(Number(out))).toBe(true);
    process.kill(Number(out), "SIGKILL");
  });

  it("ends the whole group at the time limit", async () => {
    await using guest = await testGuest();
    const script = "trap 'echo asked; exit 9' TERM; sleep 1000 & echo $!; wait";
    const { out, exit } = await run(guest.client, ["sh", "-c", script], { timeoutMs: 300 });
    expect(out).toContain("asked");
    expect(exit).toEqual({ type: "exit", exitCode: 9, signal: null, isTimedOut: true });
    await expect.poll(() => isAlive(Number.parseInt(out, 10))).toBe(false);
  });

  it("kills the group when the caller gives up, and when the link is lost", async () => {
    await using guest = await testGuest();
    const one = await start(guest.client, ["sleep", "1000"]);
    one.stream.reset();
    await expect.poll(() => isAlive(one.result.pid)).toBe(false);
    const two = await start(guest.client, ["sleep", "1000"]);
    guest.cut(new AtollError("link.lost"));
    await expect.poll(() => isAlive(two.result.pid)).toBe(false);
  });

  it("passes signals on", async () => {
    await using guest = await testGuest();
    const channel = await start(guest.client, ["sleep", "1000"]);
    await channel.sendEvent({ type: "signal", signal: "SIGINT" });
    channel.stream.end();
    expect((await finish(channel)).exit).toEqual({
      type: "exit",
      exitCode: null,
      signal: "SIGINT",
      isTimedOut: false,
    });
  });

  it("says what did not start, and where it cannot run", async () => {
    await using guest = await testGuest();
    const text = join(guest.folder, "text");
    await writeFile(text, "no program");
    for (const argv of [["/nowhere/at/all"], ["no-such-program-anywhere"], [text], [guest.folder], [""]]) {
      await expect(start(guest.client, argv), argv[0]).rejects.toMatchObject({ code: "process.not_started" });
    }
    await expect(start(guest.client, ["true"], { cwd: "/nowhere" })).rejects.toMatchObject({
      code: "file.not_found",
    });
    expect(guest.lines).toEqual([]);
  });

  it("limits how many run at once", async () => {
    await using guest = await testGuest();
    const { client } = guest;
    const running: Awaited<ReturnType<typeof start>>[] = [];
    for (let index = 0; index < PROCESSES_PER_WORKSPACE - 10; index++)
      running.push(await start(client, ["cat"]));
    const second = guest.connect().client;
    for (let index = 0; index < 10; index++) running.push(await start(second, ["cat"]));
    await expect(start(second, ["cat"])).rejects.toMatchObject({ code: "process.limit_reached" });
    for (const { stream } of running) stream.end();
    await Promise.all(running.map(finish));
    expect((await run(client, ["true"])).exit).toEqual(exited(0));
  });
});
