import { AtollError } from "@atoll/protocol/atoll-error";
import { call, openChannel } from "@atoll/protocol/call";
import { STREAM_WINDOW_BYTES, TERMINAL_HIGH_MARK_BYTES, TERMINAL_REPLAY_BYTES } from "@atoll/protocol/limits";
import {
  terminalAttach,
  terminalClose,
  terminalOpen,
  terminalWatch,
} from "@atoll/protocol/messages/terminal";
import type { Mux } from "@atoll/protocol/mux";
import { describe, expect, it } from "vitest";
import { testGuest } from "../testing/test-guest.ts";

const GRID = { cols: 80, rows: 24 };

async function open(client: Mux, ...argv: string[]): Promise<string> {
  const info = await call(client, terminalOpen, { ...GRID, ...(argv.length > 0 ? { argv } : {}) });
  return info.terminalId;
}

type Channel = Awaited<ReturnType<typeof attach>>;

async function attach(client: Mux, terminalId: string, fromOffset?: number) {
  const channel = await openChannel(client, terminalAttach, {
    terminalId,
    ...(fromOffset === undefined ? {} : { fromOffset }),
  });
  const items = channel.items();
  let text = "";
  const events: Record<string, unknown>[] = [];
  const next = async () => {
    const { value, done } = await items.next();
    if (done) return false;
    if (value.kind === "data") text += Buffer.from(value.bytes).toString("latin1");
    else events.push(value.value);
    return true;
  };
  return {
    ...channel,
    events,
    text: () => text,
    until: async (isDone: () => boolean) => {
      while (!isDone()) if (!(await next())) throw new Error(`ended after ${JSON.stringify(text)}`);
    },
    type: (keys: string) => channel.stream.write(Buffer.from(keys)),
  };
}

const untilText = (channel: Channel, wanted: string) => channel.until(() => channel.text().includes(wanted));
const untilExit = (channel: Channel) =>
  channel.until(() => channel.events.some(({ type }) => type === "exit"));

describe("terminal", () => {
  it("runs the login shell and carries input, output, size and exit", async () => {
    await using guest = await testGuest();
    const terminal = await attach(guest.client, await open(guest.client));
    expect(guest.system.calls).toEqual(["join programs"]);
    await terminal.sendEvent({ type: "resize", cols: 101, rows: 33 });
    await terminal.type("stty size; echo $TERM-$COLORTERM; shopt -q login_shell && echo is-login; exit 7\n");
    await untilExit(terminal);
    expect(terminal.text()).toContain("33 101");
    expect(terminal.text()).toContain("xterm-256color-truecolor");
    expect(terminal.text()).toContain("is-login");
    expect(terminal.events.at(-1)).toEqual({ type: "exit", exitCode: 7, signal: null });
  });

  it("passes every byte as it is", async () => {
    await using guest = await testGuest();
    const all = Array.from({ length: 256 }, (_, index) => `\\x${index.toString(16).padStart(2, "0")}`).join(
      "",
    );
    const script = `stty -opost; printf '${all}'`;
    const terminal = await attach(guest.client, await open(guest.client, "/bin/bash", "-c", script));
    await untilExit(terminal);
    expect(Buffer.from(terminal.text(), "latin1")).toEqual(
      Buffer.from(Array.from({ length: 256 }, (_, i) => i)),
    );
  });

  it("keeps running without a viewer and over a lost link, and replays from any offset", async () => {
    await using guest = await testGuest();
    const id = await open(
      guest.client,
      "/bin/bash",
      "-c",
      "stty -echo -opost; echo ready; read a; echo got-$a; read b",
    );
    const first = await attach(guest.client, id);
    await untilText(first, "ready\n");
    const seen = first.text().length;
    guest.cut(new AtollError("link.lost"));
    const { client } = guest.connect();
    const second = await attach(client, id, seen);
    expect(second.result).toMatchObject({ fromOffset: seen, gapBytes: 0 });
    await second.type("x\n");
    await untilText(second, "got-x\n");
    expect(second.text()).toBe("got-x\n");
    const third = await attach(client, id);
    await untilText(third, "got-x\n");
    expect(third.text()).toBe("ready\ngot-x\n");
    await call(client, terminalClose, { terminalId: id });
    await expect(openChannel(client, terminalAttach, { terminalId: id })).rejects.toMatchObject({
      code: "terminal.not_found",
    });
  });

  it("shows one terminal to several viewers and tells them titles and sizes", async () => {
    await using guest = await testGuest();
    const id = await open(
      guest.client,
      "/bin/bash",
      "-c",
      String.raw`read a; printf '\e]2;new\x01 na\u202eme\e\\done'; read b`,
    );
    const one = await attach(guest.client, id);
    const two = await attach(guest.client, id);
    await one.sendEvent({ type: "resize", cols: 90, rows: 30 });
    await two.until(() => two.events.length > 0);
    expect(two.events).toEqual([{ type: "resize", cols: 90, rows: 30 }]);
    await two.type("go\n");
    await one.until(() => one.events.length > 0);
    expect(one.events).toEqual([{ type: "title", title: "new name" }]);
    await call(guest.client, terminalClose, { terminalId: id });
  });

  it("tells the watcher of the list about opens, titles, exits and closes", async () => {
    await using guest = await testGuest();
    const watch = await openChannel(guest.client, terminalWatch, {});
    expect(watch.result.terminals).toEqual([]);
    const id = await open(guest.client, "/bin/bash", "-c", "exit 3");
    for await (const item of watch.items()) {
      if (item.kind !== "event") continue;
      const [terminal] = item.value.terminals;
      if (terminal?.exit === undefined) continue;
      expect(terminal).toMatchObject({ terminalId: id, title: "bash", exit: { exitCode: 3, signal: null } });
      break;
    }
    const late = await attach(guest.client, id);
    await untilExit(late);
    await call(guest.client, terminalClose, { terminalId: id });
    await expect(call(guest.client, terminalClose, { terminalId: id })).rejects.toMatchObject({
      code: "terminal.not_found",
    });
  });

  it("pauses the program when its only viewer stalls, and interrupts the flood at once", async () => {
    await using guest = await testGuest();
    const id = await open(
      guest.client,
      "/bin/bash",
      "-c",
      "trap 'echo stopped; exit 5' INT; while :; do echo 0123456789abcdef; done",
    );
    const stalled = await attach(guest.client, id);
    // Reads nothing: the window fills, then the ring up to the high mark, then the program waits in its write.
    const probe = async () => {
      const other = await attach(guest.client, id, Number.MAX_SAFE_INTEGER);
      const end = other.result.fromOffset;
      other.stream.reset();
      return end;
    };
    let before = -1;
    let end = await probe();
    while (end !== before || end < STREAM_WINDOW_BYTES) {
      before = end;
      await new Promise((resolve) => setTimeout(resolve, 200));
      end = await probe();
    }
    expect(end).toBeGreaterThanOrEqual(STREAM_WINDOW_BYTES);
    expect(end).toBeLessThan(TERMINAL_REPLAY_BYTES + STREAM_WINDOW_BYTES);
    await stalled.type("\x03");
    await untilExit(stalled);
    expect(stalled.events.filter(({ type }) => type === "gap")).toEqual([]);
    expect(stalled.events.at(-1)).toEqual({ type: "exit", exitCode: 5, signal: null });
    expect(stalled.text().length).toBeLessThan(end + 2 * TERMINAL_HIGH_MARK_BYTES);
  });

  it("goes at the fastest viewer's pace and tells a slow one its gap", async () => {
    await using guest = await testGuest();
    const total = 4 * TERMINAL_REPLAY_BYTES;
    const id = await open(
      guest.client,
      "/bin/bash",
      "-c",
      `stty -opost; read a; head -c ${total} /dev/zero | tr '\\0' x; echo end`,
    );
    const slow = await attach(guest.client, id);
    const fast = await attach(guest.client, id);
    await fast.type("\n");
    await untilExit(fast);
    expect(fast.text().endsWith("end\n")).toBe(true);
    expect(fast.events.map(({ type }) => type)).toEqual(["exit"]);
    await untilExit(slow);
    const gaps = slow.events.filter(({ type }) => type === "gap").map(({ gapBytes }) => gapBytes as number);
    expect(gaps.length).toBeGreaterThan(0);
    expect(slow.text().length + gaps.reduce((sum, bytes) => sum + bytes, 0)).toBe(fast.text().length);
    expect(slow.text().endsWith("end\n")).toBe(true);
  });

  it("does not hang on input that no program reads", async () => {
    await using guest = await testGuest();
    const id = await open(guest.client, "/bin/bash", "-c", "stty raw -echo; echo ready; sleep 1000");
    const terminal = await attach(guest.client, id);
    await untilText(terminal, "ready");
    void terminal.stream.write(new Uint8Array(200_000).fill(97)).catch(() => {});
    const other = await attach(guest.client, await open(guest.client, "/bin/bash", "-c", "echo alive"));
    await untilExit(other);
    expect(other.text()).toContain("alive");
    await call(guest.client, terminalClose, { terminalId: id });
    terminal.stream.end();
    expect(await terminal.stream.closed).toBeUndefined();
  });

  it("refuses folders that are none and programs with NUL, and lists a program that cannot run as ended", async () => {
    await using guest = await testGuest();
    await expect(call(guest.client, terminalOpen, { ...GRID, cwd: "/nowhere/at/all" })).rejects.toMatchObject(
      {
        code: "file.not_found",
      },
    );
    await expect(open(guest.client, "a\0b")).rejects.toMatchObject({ code: "request.invalid" });
    const terminal = await attach(guest.client, await open(guest.client, "/nowhere/program"));
    await untilExit(terminal);
    expect(terminal.events.at(-1)).toMatchObject({ exitCode: 1 });
  });
});
