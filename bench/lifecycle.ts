/** Pausing, returning and forking, each beside its reference in the same run. */
import { randomBytes, randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { zstdCompress } from "node:zlib";
import type { QmpClient } from "@atoll/hostd/hypervisor/qemu/qmp-client";
import { AHEAD, CHUNK_BYTES, COMPRESSION, seal } from "@atoll/hostd/snapshots/seal";
import { call } from "@atoll/protocol/call";
import { corePing } from "@atoll/protocol/messages/core";
import type { Mux } from "@atoll/protocol/mux";
import { z } from "zod";
import { type BareRestoreOptions, startBareMachine } from "./b0.ts";
import type { BenchHost } from "./bench-host.ts";
import { besideBare } from "./beside-bare.ts";
import { openBrowserSession } from "./browser-session.ts";
import { liveFork, measureLiveFork } from "./live-fork.ts";
import { FORKS, manyAtOnce } from "./many-at-once.ts";
import { ownBytes } from "./own-bytes.ts";
import type { RowInput } from "./report.ts";
import { interleaved, quantiles, timedMs } from "./statistics.ts";

export interface LifecycleOptions {
  host: BenchHost;
  bare: BareRestoreOptions;
  add: (row: RowInput) => void;
  pairs: number;
  warmups: number;
  gatewayPort: number;
  /** Machines that the host keeps ready. */
  poolSize: number;
}

const SMALL = { memoryMb: 256 };
const LARGE = { memoryMb: 2048 };
/** Of a template's memory, as sealing meets it. */
const SEALED_BYTES = 96 * 1024 * 1024;
const compress = promisify(zstdCompress);

export async function measureLifecycle(options: LifecycleOptions): Promise<void> {
  await creates(options);
  await platformTax(options);
  await manyForks(options);
  const source = await options.host.create();
  await measureLiveFork(options, source, "live fork");
  await options.host.delete(source);
  await forkPause(options);
  await graceReturn(options);
  await sealing(options);
  await paused(options);
  // Last: machines of these sizes are kept ready from then on, beside those the others wait for.
  await flatInMemory(options);
}

async function flatInMemory({ host, add, pairs, warmups }: LifecycleOptions): Promise<void> {
  const [small, large] = [await host.create(SMALL), await host.create(LARGE)];
  const sealedReturn = async (id: string) => {
    await host.pauseToDisk(id);
    return timedMs(() => host.resume(id));
  };
  const samples = await interleaved(
    pairs,
    warmups,
    () => sealedReturn(large),
    () => sealedReturn(small),
  );
  add({
    name: "resume of 2 GiB, sealed",
    unit: "ms",
    ours: samples.ours,
    reference: { name: "resume of 256 MiB, sealed", samples: samples.reference },
    goal: { atMost: 1.3, of: "ratio" },
  });
  await Promise.all([host.delete(small), host.delete(large)]);
}

async function graceReturn(options: LifecycleOptions): Promise<void> {
  const { host } = options;
  const id = await host.create();
  await besideBare(options, { name: "return within the grace time", atMost: 1.1 }, async () => {
    await host.pause(id);
    return timedMs(() => host.resume(id));
  });
  await host.delete(id);
}

async function creates(options: LifecycleOptions): Promise<void> {
  const { host, poolSize } = options;
  await besideBare(options, { name: "create with a waiting process", atMost: 0.7 }, async () => {
    // All of them: one that is being made takes a core.
    await host.ready(poolSize);
    const id = randomUUID();
    const ms = await timedMs(() => host.create({}, id));
    await host.delete(id);
    return ms;
  });
}

/** Each time right after the machines that wait ready were taken. */
async function manyForks(options: LifecycleOptions): Promise<void> {
  const { host, poolSize } = options;
  await manyAtOnce(options, `${FORKS} forks of one template, all ready`, async (ids) => {
    const taken = await Promise.all(Array.from({ length: poolSize }, () => host.create()));
    const ms = await timedMs(() => Promise.all(ids.map((id) => host.create({}, id))));
    await Promise.all(taken.map((id) => host.delete(id)));
    return ms;
  });
}

/** The longest a guest that is asked all the time keeps silent, less what an answer takes, against a full stop and copy. */
async function forkPause({ host, bare, add, gatewayPort }: LifecycleOptions): Promise<void> {
  const source = await host.create();
  const rounds = 5;
  const directory = host.stack.layout.data;
  const samples = await interleaved(
    rounds,
    1,
    async () => {
      using session = await openBrowserSession(host, source, gatewayPort);
      const usual = quantiles(await pings(session.mux, () => false, 100)).p50;
      let isForked = false;
      const id = randomUUID();
      const forked = liveFork(host, source, id).finally(() => {
        isForked = true;
      });
      const during = await pings(session.mux, () => isForked, Number.POSITIVE_INFINITY);
      await forked;
      await host.delete(id);
      return Math.max(...during) - usual;
    },
    async () => {
      await using machine = await startBareMachine(bare);
      // Awaited here: the machine ends when this returns.
      return await fullCopyMs(machine.qmp, join(directory, `full-${randomBytes(4).toString("hex")}`));
    },
  );
  add({
    name: "source of a live fork stands still",
    unit: "ms",
    ours: samples.ours,
    reference: { name: "stop, all RAM to a file, cont", samples: samples.reference },
    goal: { atMost: 0.1, of: "ratio" },
  });
  await host.delete(source);
}

async function sealing({ bare, add, pairs, warmups, host }: LifecycleOptions): Promise<void> {
  const plain: Buffer[] = [];
  let size = 0;
  for await (const piece of createReadStream(bare.template.ramPath, { highWaterMark: CHUNK_BYTES })) {
    const chunk = piece as Buffer;
    if (chunk.every((byte) => byte === 0)) continue;
    plain.push(chunk);
    size += chunk.length;
    if (size >= SEALED_BYTES) break;
  }
  const directory = host.stack.layout.data;
  const context = { workspaceId: randomUUID(), snapshotId: randomUUID(), epoch: 1 };
  const samples = await interleaved(
    pairs,
    warmups,
    () => writtenMs(directory, () => seal(pieces(plain), randomBytes(32), context)),
    () => writtenMs(directory, () => compressed(plain)),
  );
  add({
    name: `sealing ${Math.round(size / 2 ** 20)} MiB of guest memory`,
    unit: "ms",
    ours: samples.ours,
    reference: { name: "the same, compressed only", samples: samples.reference },
    goal: { atMost: 1.15, of: "ratio" },
  });
}

async function paused({ host, add }: LifecycleOptions): Promise<void> {
  const id = await host.create();
  const directory = await host.diskDirectory(id);
  const pid = await host.machinePid(id);
  await host.pauseToDisk(id);
  const diskId = directory.split("/").at(-1) ?? "";
  const isGone = await stat(`/proc/${pid}`).then(
    () => 0,
    () => 1,
  );
  add({
    name: "processes of a paused workspace",
    unit: "count",
    ours: [(await processesNaming(diskId)) + (1 - isGone)],
    reference: { name: "running", samples: [1] },
    goal: { atMost: 0, of: "ours" },
  });
  add({
    name: "disk of a paused idle workspace over its template",
    unit: "MiB",
    ours: [(await ownBytes(directory)) / 2 ** 20],
    reference: { name: "its RAM", samples: [512] },
    goal: { atMost: 0.05, of: "ratio" },
  });
  await host.delete(id);
}

/** What a create takes beside bringing the machine back: asking, admission, the journal, announcing. */
async function platformTax({ host, add, pairs, warmups, poolSize }: LifecycleOptions): Promise<void> {
  const taxes: number[] = [];
  const restores: number[] = [];
  for (let round = 0; round < pairs + warmups; round++) {
    await host.ready(poolSize);
    const id = randomUUID();
    const watching = await host.watchRestore(id);
    const totalMs = await timedMs(() => host.create({}, id));
    const restoredMs = await watching.restoredMs;
    await host.delete(id);
    if (round < warmups) continue;
    taxes.push(totalMs - restoredMs);
    restores.push(restoredMs);
  }
  add({
    name: "create, less hostd's own restore",
    unit: "ms",
    ours: taxes,
    reference: { name: "hostd's restore and handshake", samples: restores },
    goal: { atMost: 15, of: "ours" },
  });
}

async function pings(mux: Mux, isOver: () => boolean, count: number): Promise<number[]> {
  const samples: number[] = [];
  while (samples.length < count && !isOver()) samples.push(await timedMs(() => call(mux, corePing, {})));
  return samples;
}

async function fullCopyMs(qmp: QmpClient, path: string): Promise<number> {
  const status = z.object({ status: z.string().optional() });
  try {
    return await timedMs(async () => {
      await qmp.execute("stop", {}, z.unknown());
      await qmp.execute("migrate", { uri: `file:${path}` }, z.unknown());
      for (;;) {
        const { status: now } = await qmp.execute("query-migrate", {}, status);
        if (now === "completed") break;
        if (now === "failed") throw new Error("the full copy failed");
      }
      await qmp.execute("cont", {}, z.unknown());
    });
  } finally {
    await rm(path, { force: true });
  }
}

async function writtenMs(directory: string, make: () => AsyncIterable<Uint8Array>): Promise<number> {
  const path = join(directory, `sealed-${randomBytes(4).toString("hex")}`);
  try {
    return await timedMs(async () => {
      await using file = await open(path, "wx", 0o600);
      for await (const piece of make()) await file.writeFile(piece);
      await file.sync();
    });
  } finally {
    await rm(path, { force: true });
  }
}

async function* pieces(chunks: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield* chunks;
}

/** As `seal` compresses: chunk by chunk, a few ahead. */
async function* compressed(chunks: readonly Buffer[]): AsyncGenerator<Buffer> {
  const running: Promise<Buffer>[] = [];
  for (const chunk of chunks) {
    running.push(compress(chunk, COMPRESSION));
    if (running.length >= AHEAD) yield await (running.shift() as Promise<Buffer>);
  }
  for (const result of running) yield await result;
}

async function processesNaming(diskId: string): Promise<number> {
  let count = 0;
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const command = await readFile(`/proc/${name}/cmdline`, "utf8").catch(() => "");
    if (command.includes(diskId)) count += 1;
  }
  return count;
}
