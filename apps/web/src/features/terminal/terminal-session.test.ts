import { deferred } from "@atoll/base/deferred";
import { ManualClock } from "@atoll/base/manual-clock";
import { AtollError } from "@atoll/protocol/atoll-error";
import { openerItems } from "@atoll/protocol/call";
import { terminalAttach } from "@atoll/protocol/messages/terminal";
import type { MuxStream } from "@atoll/protocol/mux-stream";
import { describe, expect, it } from "vitest";
import { Connection } from "../connection/connection.ts";
import { FakeHost, runningStatus } from "../testing/fake-host.ts";
import { TerminalSession } from "./terminal-session.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const bytes = (value: string) => new TextEncoder().encode(value);

/** A shell with `output` so far; each attach gets what it lacks, then whatever `say` adds. */
class FakeShell {
  output = "";
  kept = 0;
  readonly attaches: Array<number | undefined> = [];
  readonly input: string[] = [];
  readonly sizes: string[] = [];
  stream: MuxStream | undefined;

  constructor(host: FakeHost) {
    host.agent.onChannel(terminalAttach, async (params, stream) => {
      this.attaches.push(params.fromOffset);
      this.sizes.push(`${params.cols}x${params.rows}`);
      this.stream = stream;
      const fromOffset = Math.max(params.fromOffset ?? 0, this.kept);
      const info = { terminalId: "t1", title: "bash", pid: 7, cols: 80, rows: 24, startedAtMs: 0 };
      stream.sendReply({ info, fromOffset, gapBytes: fromOffset - (params.fromOffset ?? fromOffset) });
      await stream.write(bytes(this.output.slice(fromOffset)));
      for await (const item of openerItems(stream, terminalAttach)) {
        if (item.kind === "data") this.input.push(text(item.bytes));
        else this.sizes.push(`${item.value.cols}x${item.value.rows}`);
      }
    });
  }

  say(words: string): Promise<void> | undefined {
    this.output += words;
    return this.stream?.write(bytes(words));
  }
}

function setup() {
  const host = new FakeHost();
  const shell = new FakeShell(host);
  const clock = new ManualClock();
  const connection = new Connection({
    openTransport: host.openTransport,
    fetchTicket: async () => "ticket",
    tabId: "00000000-0000-4000-8000-000000000001",
    clock,
    random: () => 0.5,
  });
  connection.start();
  const shown: string[] = [];
  const screen = {
    write: async (chunk: Uint8Array) => void shown.push(text(chunk)),
    reset: () => void shown.push("[reset]"),
    resize: (cols: number, rows: number) => void shown.push(`[${cols}x${rows}]`),
  };
  const lost: string[] = [];
  const open = (over: Partial<typeof screen> = {}) =>
    new TerminalSession({
      connection,
      terminalId: "t1",
      screen: { ...screen, ...over },
      size: { cols: 90, rows: 30 },
      onInputLost: ({ code }) => lost.push(code),
    });
  return { host, shell, clock, connection, shown, lost, open };
}

describe("terminal session", () => {
  it("goes on at the next byte after a lost connection", async () => {
    const { host, shell, clock, connection, shown, open } = setup();
    shell.output = "hello ";
    const session = open();
    await host.accepts();
    await shell.say("world");
    await host.settled();
    host.cut(new AtollError("link.lost"));
    await host.settled();
    expect(session.state.get().isAttached).toBe(false);
    shell.output += ", again";
    clock.advance(400);
    await host.accepts();
    expect(shown.join("")).toBe("hello world, again");
    expect(shell.attaches).toEqual([undefined, 11]);
    session.close();
    connection.close();
  });

  it("clears the screen when output was lost in between", async () => {
    const { host, shell, clock, connection, shown, open } = setup();
    shell.output = "0123456789";
    const session = open();
    await host.accepts();
    host.cut(new AtollError("link.lost"));
    shell.output += "abcdefghij";
    shell.kept = 15;
    clock.advance(400);
    await host.accepts();
    expect(shown).toEqual(["0123456789", "[reset]", "fghij"]);
    session.close();
    connection.close();
  });

  it("shows a restored machine's own history from its beginning, once for each restore", async () => {
    const { host, shell, connection, shown, open } = setup();
    shell.output = "then now";
    const session = open();
    await host.accepts();
    shell.output = "then";
    await host.reports({ ...runningStatus, state: "resuming", reason: "restored", generation: 3 });
    await host.reports({ ...runningStatus, reason: "restored", generation: 3 });
    await host.reports({ ...runningStatus, state: "paused", generation: 4 });
    await host.reports({ ...runningStatus, generation: 5 });
    expect(shown.filter(Boolean)).toEqual(["then now", "[reset]", "then"]);
    expect(shell.attaches).toEqual([undefined, undefined, 4]);
    session.close();
    connection.close();
  });

  it("sends keys and sizes, and forgets keys while there is no connection", async () => {
    const { host, shell, clock, connection, open } = setup();
    const session = open();
    await host.accepts();
    session.input(bytes("ls\r"));
    session.resize(100, 40);
    session.resize(100, 40);
    await host.settled();
    host.cut(new AtollError("link.lost"));
    session.input(bytes("rm -rf ~\r"));
    clock.advance(400);
    await host.accepts();
    expect(shell.input).toEqual(["ls\r"]);
    expect(shell.sizes).toEqual(["90x30", "100x40", "100x40"]);
    session.close();
    connection.close();
  });

  it("says that a paste did not fit, and that one was cut off, instead of dropping it without a word", async () => {
    const { host, shell, clock, connection, lost, open } = setup();
    const session = open();
    await host.accepts();
    const tooLong = new Uint8Array(4 * 1024 * 1024 + 1);
    session.input(tooLong);
    session.input(tooLong);
    expect(lost).toEqual(["request.too_large", "request.too_large"]);
    session.input(bytes("ls\r"));
    await host.settled();
    expect(shell.input).toEqual(["ls\r"]);
    // While one is on its way there is room for no more, which is said once.
    session.input(new Uint8Array(4 * 1024 * 1024));
    for (let key = 0; key < 3; key += 1) session.input(bytes("x"));
    expect(lost.slice(2)).toEqual(["request.too_large"]);
    host.cut(new AtollError("link.lost"));
    await host.settled();
    clock.advance(400);
    await host.accepts();
    session.input(new Uint8Array(1024 * 1024));
    session.input(bytes("y"));
    host.cut(new AtollError("link.lost"));
    await host.settled();
    expect(lost.slice(3)).toEqual(["link.lost"]);
    session.close();
    connection.close();
  });

  it("reads no further than what the screen has drawn, so a flood stops at its source", async () => {
    const { host, shell, connection, open } = setup();
    const drawn = deferred<void>();
    let writes = 0;
    const session = open({
      write: async () => {
        writes += 1;
        await drawn.promise;
      },
    });
    await host.accepts();
    let isSent = false;
    void shell.say("x".repeat(1024 * 1024))?.then(() => {
      isSent = true;
    });
    await host.settled();
    expect({ writes, isSent }).toEqual({ writes: 1, isSent: false });
    drawn.resolve();
    while (!isSent) await host.settled();
    session.close();
    connection.close();
  });

  it("reports a terminal that is gone and does not ask again", async () => {
    const host = new FakeHost();
    host.agent.onChannel(terminalAttach, async () => {
      throw new AtollError("terminal.not_found");
    });
    const clock = new ManualClock();
    const connection = new Connection({
      openTransport: host.openTransport,
      fetchTicket: async () => "t",
      tabId: "00000000-0000-4000-8000-000000000001",
      clock,
    });
    connection.start();
    const screen = { write: async () => {}, reset: () => {}, resize: () => {} };
    const session = new TerminalSession({
      connection,
      terminalId: "t1",
      screen,
      size: { cols: 80, rows: 24 },
      onInputLost: () => {},
    });
    await host.accepts();
    expect(session.state.get().error?.code).toBe("terminal.not_found");
    expect(clock.pendingCount).toBe(0);
    session.close();
    connection.close();
  });
});
