/** `npm run bench [-- start create resume booted templates lifecycle terminal idle memory]`: our figures beside bare references, measured in turn on one host. Writes `bench/results.json`. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Scope } from "@atoll/base/scope";
import { MuxTransport } from "@atoll/hostd/link/mux-transport";
import { AtollError } from "@atoll/protocol/atoll-error";
import { STREAMS_PER_LINK } from "@atoll/protocol/limits";
import { Progress } from "../scripts/bootstrap/progress.mjs";
import { readEnv } from "../scripts/start/env.ts";
import { prepare } from "../scripts/start/prepare.ts";
import { startStack } from "../scripts/start/stack.ts";
import { type BareMachine, startBareMachine } from "./b0.ts";
import { BenchHost } from "./bench-host.ts";
import { besideBare } from "./beside-bare.ts";
import { openBrowserSession } from "./browser-session.ts";
import { measureLifecycle } from "./lifecycle.ts";
import { measureLiveFork } from "./live-fork.ts";
import { agentRssMib, echoesMs, floodMbPerSecond, pingsMs, streamMbPerSecond } from "./measure-terminal.ts";
import { memoryOfClone } from "./memory-of-clone.ts";
import { cpuPercent } from "./process-cost.ts";
import { printRow, type Row, type RowInput, row, writeResults } from "./report.ts";
import { measureSleep } from "./sleep.ts";
import { measureStart } from "./start.ts";
import { interleaved, timedMs } from "./statistics.ts";
import { measureTemplates } from "./templates.ts";

const PAIRS = Number(process.env.BENCH_PAIRS ?? 20);
const WARMUPS = 3;
const COLD_BOOTS = 3;
const KEYS = 400;
const IDLE_AFTER_SECONDS = 50;
const IDLE_SECONDS = 30;
const POOL_SIZE = "2";
/** Long enough for a return within it, short enough to wait for the sealing behind it. */
const GRACE_SECONDS = "1";

const scope = new Scope();
try {
  const data = await mkdtemp(join(tmpdir(), "atoll-bench-"));
  scope.defer(() => rm(data, { recursive: true, force: true }));
  process.env.ATOLL_POOL_SIZE = POOL_SIZE;
  process.env.ATOLL_ANY_MACHINE_SIZE = "1";
  process.env.ATOLL_PAUSE_GRACE_SECONDS = GRACE_SECONDS;
  const env = readEnv({
    ATOLL_DATA: data,
    ATOLL_CACHE: process.env.ATOLL_CACHE ?? join(process.env.ATOLL_DATA ?? resolve(".data"), "cache"),
    ATOLL_WEB_PORT: "7710",
    ATOLL_GATEWAY_PORT: "7711",
    ATOLL_PREVIEW_PORT: "7712",
  });
  const progress = new Progress(process.stderr);
  await prepare({
    cacheDirectory: env.cacheDirectory,
    logs: join(data, "logs"),
    progress,
    signal: scope.signal,
  });
  const stack = await startStack({ env, progress, signal: new AbortController().signal });
  scope.defer(() => stack.stop());
  const host = new BenchHost(stack);
  await host.ready(1);
  const bare = await host.bareOptions(env.cacheDirectory);
  const rows: Row[] = [];
  const { isolation } = await host.health();
  const add = (input: RowInput) => {
    const made = row(input);
    rows.push(made);
    printRow(made);
    // At once: what was measured is kept although a later suite fails.
    writeResults(join(import.meta.dirname, "results.json"), isolation, rows);
  };

  const options = {
    ...{ host, bare, add, pairs: PAIRS, warmups: WARMUPS },
    ...{ gatewayPort: env.ports.gateway, poolSize: Number(POOL_SIZE) },
  };
  const lifecycle = () => measureLifecycle(options);
  const templates = () => measureTemplates(options);
  const booted = async () => {
    const id = await host.create();
    await host.stop(id);
    await host.resume(id);
    // Before it sleeps for the first time: all that it wrote since its boot is compared for each of these.
    await measureLiveFork(options, id, "live fork of a machine that booted cold");
    await measureSleep(options, id, "machine that booted cold");
    await host.delete(id);
  };
  const start = () => measureStart({ add, cacheDirectory: env.cacheDirectory });
  const suites: Record<string, () => Promise<void>> = {
    start,
    create,
    resume,
    booted,
    templates,
    lifecycle,
    memory: () =>
      memoryOfClone(
        options,
        (count) => `idle clone ${count}`,
        (id) => host.create({}, id),
      ),
    terminal,
    idle,
  };
  const wanted = process.argv.slice(2);
  const unknown = wanted.filter((name) => suites[name] === undefined);
  if (unknown.length > 0)
    throw new Error(`no suite ${unknown.join(", ")}; there are ${Object.keys(suites).join(", ")}`);
  for (const [name, suite] of Object.entries(suites)) {
    if (wanted.length === 0 || wanted.includes(name)) await suite();
  }
  if (rows.some(({ pass }) => pass === false)) process.exitCode = 1;

  async function create(): Promise<void> {
    const creates = await besideBare(options, { name: "create to first answer", atMost: 1.3 }, async () => {
      await host.ready(1);
      let id = "";
      const ms = await timedMs(async () => {
        id = await host.create();
      });
      await host.delete(id);
      await host.ready(Number(POOL_SIZE));
      return ms;
    });

    const id = await host.create();
    const boots: number[] = [];
    for (let count = 0; count < COLD_BOOTS; count++) {
      await host.stop(id);
      boots.push(await timedMs(() => host.resume(id)));
    }
    const cold = { name: "cold boot", samples: boots };
    add({
      name: "create against a cold boot",
      unit: "ms",
      ours: creates.ours,
      reference: cold,
      goal: { atMost: 0.1, of: "ratio" },
    });
    await host.delete(id);
  }

  async function resume(): Promise<void> {
    const sleeper = await host.create();
    const pauses: number[] = [];
    const resumes = await besideBare(
      options,
      { name: "resume of a sealed machine", atMost: 1.5 },
      async () => {
        pauses.push(await timedMs(() => host.pauseToDisk(sleeper)));
        return timedMs(() => host.resume(sleeper));
      },
    );
    await host.delete(sleeper);
    add({
      name: "pause to sealed on disk, its grace time included",
      unit: "ms",
      ours: pauses,
      reference: resumes.reference,
      goal: undefined,
    });
  }

  async function terminal(): Promise<void> {
    const id = await host.create();
    using session = await openBrowserSession(host, id, env.ports.gateway);
    await using machine = await startBareMachine(bare);
    const link = bareLink(machine);
    await host.ready(Number(POOL_SIZE));
    await settle();
    for (const source of ["pty", "program"] as const) {
      await echoesMs(session.mux, source, 50);
      const echoes = await interleaved(
        8,
        // The guest's code and ours are translated and compiled as they are used.
        4,
        async () => median(await echoesMs(session.mux, source, KEYS / 8)),
        async () => median(await pingsMs(link, KEYS / 8)),
      );
      add({
        name: `terminal echo, browser socket to ${source === "pty" ? "PTY" : "a program behind it"}`,
        unit: "ms",
        ours: echoes.ours,
        reference: { name: "raw echo on the link", samples: echoes.reference },
        goal: source === "pty" ? { atMost: 5, of: "ratio" } : undefined,
      });
    }
    const floods = await interleaved(
      3,
      1,
      () => floodMbPerSecond(session.mux),
      () => streamMbPerSecond(link),
    );
    add({
      name: "terminal flood",
      unit: "MB/s",
      ours: floods.ours,
      reference: { name: "bytes of a program, bare link", samples: floods.reference },
      goal: undefined,
    });
    add({
      name: "agent memory",
      unit: "MiB",
      ours: [await agentRssMib(session.mux)],
      reference: { name: "agent in a bare machine", samples: [await agentRssMib(link)] },
      goal: { atMost: 60, of: "ours" },
    });
    await host.delete(id);
  }

  async function idle(): Promise<void> {
    const id = await host.create();
    const shares = await interleaved(
      2,
      0,
      async () => {
        await settle(IDLE_AFTER_SECONDS);
        return cpuPercent(await host.machinePid(id), IDLE_SECONDS);
      },
      async () => {
        await using machine = await startBareMachine(bare);
        await settle(IDLE_AFTER_SECONDS);
        return await cpuPercent(machine.pid, IDLE_SECONDS);
      },
    );
    add({
      name: "idle machine, share of a core",
      unit: "%",
      ours: shares.ours,
      reference: { name: "bare machine", samples: shares.reference },
      goal: { atMost: 3, of: "ours" },
    });
    await host.delete(id);
  }
} finally {
  await scope.close();
}

/** What a start leaves running in a guest is over by then; its agent collects its garbage half a minute later. */
function settle(seconds = 10): Promise<void> {
  return delay(seconds * 1000);
}

function bareLink(machine: BareMachine) {
  const transport = new MuxTransport({
    duplex: machine.duplex,
    side: "client",
    maxStreams: STREAMS_PER_LINK,
    onOpen: (open) => open.refuse(new AtollError("egress.denied")),
    onClosed: () => {},
  });
  transport.start(machine.early);
  return transport.mux;
}

function median(samples: readonly number[]): number {
  return [...samples].sort((a, b) => a - b)[Math.floor(samples.length / 2)] ?? Number.NaN;
}
