import { systemClock } from "@atoll/base/clock";
import { withDeadline } from "@atoll/base/with-deadline";
import { call, openChannel } from "@atoll/protocol/call";
import { corePing, coreStatus } from "@atoll/protocol/messages/core";
import { processRun } from "@atoll/protocol/messages/process";
import { terminalAttach, terminalClose, terminalOpen } from "@atoll/protocol/messages/terminal";
import type { Mux } from "@atoll/protocol/mux";
import { timedMs } from "./statistics.ts";

const FLOOD_BYTES = 16 * 1024 * 1024;
const FLOOD_TIMEOUT_MS = 60_000;

/** What answers a key: the PTY's own echo, or a program that has to be woken for it. */
export type EchoSource = "pty" | "program";

const ECHO_COMMANDS: Record<EchoSource, string> = {
  pty: "stty raw echo; printf ready; exec sleep 600",
  program: "stty raw -echo; printf ready; exec cat",
};

/** One key at a time to a terminal; each answer awaited before the next. */
export async function echoesMs(mux: Mux, source: EchoSource, count: number): Promise<number[]> {
  const argv = ["sh", "-c", ECHO_COMMANDS[source]];
  const { terminalId } = await call(mux, terminalOpen, { cols: 80, rows: 24, argv });
  const terminal = await openChannel(mux, terminalAttach, { terminalId });
  const items = terminal.items();
  let greeting = "";
  while (!greeting.includes("ready")) greeting += await nextText(items);
  const samples: number[] = [];
  for (let index = 0; index < count; index++) {
    samples.push(
      await timedMs(async () => {
        await terminal.stream.write(new Uint8Array([97 + (index % 26)]));
        await nextText(items);
      }),
    );
  }
  terminal.stream.reset();
  await call(mux, terminalClose, { terminalId });
  return samples;
}

async function nextText(items: AsyncGenerator<{ kind: string; bytes?: Uint8Array }>): Promise<string> {
  for (;;) {
    const next = await items.next();
    if (next.done) throw new Error("the terminal ended");
    if (next.value.bytes) return Buffer.from(next.value.bytes).toString("latin1");
  }
}

/** MB/s of a terminal that prints without pause, as a viewer receives it. */
export async function floodMbPerSecond(mux: Mux): Promise<number> {
  const argv = [
    "sh",
    "-c",
    `stty raw; printf ready; read start; head -c ${FLOOD_BYTES} /dev/zero | tr '\\0' x`,
  ];
  const { terminalId } = await call(mux, terminalOpen, { cols: 80, rows: 24, argv });
  const terminal = await openChannel(mux, terminalAttach, { terminalId });
  const items = terminal.items();
  let greeting = "";
  while (!greeting.includes("ready")) greeting += await nextText(items);
  let bytes = 0;
  const flood = async () => {
    await terminal.stream.write(new TextEncoder().encode("\n"));
    while (bytes < FLOOD_BYTES) bytes += (await nextText(items)).length;
  };
  const onTimeout = () => new Error(`only ${bytes} of ${FLOOD_BYTES} bytes came`);
  const ms = await timedMs(() =>
    withDeadline(flood(), { timeoutMs: FLOOD_TIMEOUT_MS, clock: systemClock, onTimeout }),
  );
  terminal.stream.reset();
  await call(mux, terminalClose, { terminalId });
  return FLOOD_BYTES / 1e6 / (ms / 1000);
}

/** MB/s of plain bytes from a program over one stream of the link. */
export async function streamMbPerSecond(mux: Mux): Promise<number> {
  const run = await openChannel(mux, processRun, {
    argv: ["head", "-c", String(FLOOD_BYTES), "/dev/zero"],
    timeoutMs: 120_000,
  });
  let bytes = 0;
  const ms = await timedMs(async () => {
    for await (const item of run.items()) if (item.kind === "data") bytes += item.bytes.length;
  });
  if (bytes !== FLOOD_BYTES) throw new Error(`${bytes} of ${FLOOD_BYTES} bytes came`);
  return bytes / 1e6 / (ms / 1000);
}

/** A frame to the agent and back, no stream, no program. */
export async function pingsMs(mux: Mux, count: number): Promise<number[]> {
  const samples: number[] = [];
  for (let index = 0; index < count; index++) samples.push(await timedMs(() => mux.ping()));
  return samples;
}

export async function agentRssMib(mux: Mux): Promise<number> {
  await call(mux, corePing, {});
  return (await call(mux, coreStatus, {})).agentRssBytes / 2 ** 20;
}
