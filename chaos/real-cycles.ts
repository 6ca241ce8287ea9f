/** One workspace on the whole stack, cycle after cycle; at the end it is deleted, everything stopped, and nothing may be left. */
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Scope } from "@atoll/base/scope";
import { SeededRandom } from "@atoll/hostd/proof/world/seeded-random";
import { Progress } from "../scripts/bootstrap/progress.mjs";
import { readEnv } from "../scripts/start/env.ts";
import { freePort } from "../scripts/start/free-port.ts";
import { prepare } from "../scripts/start/prepare.ts";
import { startStack } from "../scripts/start/stack.ts";
import { ChaosHost } from "./chaos-host.ts";
import type { ChaosOptions } from "./chaos-options.ts";
import { BEGINNING_CYCLES, BEGINNING_FAULTS, type Fault, planCycle } from "./cycle-plan.ts";
import { HostCensus } from "./host-census.ts";
import { Ledger } from "./ledger.ts";
import { checkDeleted, checkStopped } from "./leftovers.ts";
import { LogWatch } from "./log-watch.ts";
import { RealCycle } from "./real-cycle.ts";
import { reportFailure } from "./report-failure.ts";
import { BACK_TIMEOUT_MS } from "./take-path.ts";
import { UserTab } from "./user-tab.ts";
import { Workload } from "./workload.ts";

/** A template is baked first, beside whatever else the machine does. */
const CREATED_TIMEOUT_MS = 1_200_000;

export async function playRealCycles(options: ChaosOptions): Promise<number> {
  const { signal } = options;
  const scope = new Scope();
  try {
    const dataDirectory = await mkdtemp(join(tmpdir(), "atoll-chaos-"));
    scope.defer(() => rm(dataDirectory, { recursive: true, force: true }));
    const census = new HostCensus(dataDirectory);
    // Nothing, unless something failed: a run that held has looked.
    scope.defer(() => census.endWhatIsLeft());
    const stack = await start(scope, dataDirectory, options);
    const host = new ChaosHost(stack, { ownerId: randomUUID(), workspaceId: randomUUID() });
    const hostdLog = new LogWatch(join(stack.layout.logs, "hostd.log"));
    stack.onNote = (text) => host.trace.note(text);
    let isDone = false;
    // Ended before the stack is: what it left running would outlive it.
    scope.defer(() => (isDone ? undefined : host.delete().catch(() => {})));
    const tab = scope.own(new UserTab(host, stack.gatewayPort));
    const ledger = scope.own(await Ledger.open(stack.databaseOwnerUrl));
    try {
      await host.until("created", CREATED_TIMEOUT_MS, () => host.create().then(() => true), signal);
      // Of its own: what a cycle writes must not change what the next one is.
      const workload = new Workload(new SeededRandom(options.seed ^ 0x5eed));
      await workload.startMemory((await tab.enter(BACK_TIMEOUT_MS, signal)).mux);
      const context = { host, census, tab, gatewayPort: stack.gatewayPort, signal };
      const done = await playAll(new RealCycle(context, workload, ledger, hostdLog), options);
      host.trace.begin();
      tab[Symbol.dispose]();
      await ledger[Symbol.asyncDispose]();
      await host.delete();
      await checkDeleted(census, signal);
      await stack.stop();
      await checkStopped(census, signal);
      isDone = true;
      const rows = `${ledger.size} rows of the database`;
      console.log(`${workload.savedCount} times something was saved, ${rows} were written, and nothing lost`);
      return done;
    } catch (error) {
      if (!signal.aborted) console.error(await reportFailure(host, census));
      throw error;
    }
  } finally {
    await scope.close();
  }
}

async function start(
  scope: Scope,
  dataDirectory: string,
  { signal, isPrepared, cacheDirectory }: ChaosOptions,
) {
  const env = readEnv({
    ATOLL_DATA: dataDirectory,
    ATOLL_CACHE: cacheDirectory,
    ATOLL_WEB_PORT: String(await freePort()),
    ATOLL_GATEWAY_PORT: String(await freePort()),
    ATOLL_PREVIEW_PORT: String(await freePort()),
  });
  const progress = new Progress(process.stderr);
  const logs = join(dataDirectory, "logs");
  if (!isPrepared) await prepare({ cacheDirectory: env.cacheDirectory, logs, progress, signal });
  const listener = { onNote: (_text: string) => {} };
  const onNote = (text: string) => listener.onNote(text);
  const stack = await startStack({ env, progress, signal, quickRestarts: true, onNote });
  scope.defer(() => stack.stop(AbortSignal.abort()));
  return Object.assign(listener, stack, { gatewayPort: env.ports.gateway });
}

async function playAll(cycle: RealCycle, { seed, cycles, seconds, signal }: ChaosOptions): Promise<number> {
  const random = new SeededRandom(seed);
  const endMs = performance.now() + seconds * 1000;
  const hits = new Map<Fault, number>();
  let coldBoots = 0;
  let done = 0;
  for (; done < cycles && performance.now() < endMs; done++) {
    signal.throwIfAborted();
    const plan = planCycle(done, random);
    const { path, fault, at } = plan;
    const what = fault === "nobody" ? path : `${path}, ${fault} at ${at.toFixed(2)}`;
    const startedMs = performance.now();
    try {
      const { isHit, memory, text, spent } = await cycle.play(plan);
      if (isHit) hits.set(fault, (hits.get(fault) ?? 0) + 1);
      if (memory === "gone") coldBoots += 1;
      const tookS = ((performance.now() - startedMs) / 1000).toFixed(1);
      console.log(`cycle ${done}: ${what}: ${text} (${tookS} s: ${spent})`);
    } catch (cause) {
      throw new Error(`cycle ${done} ${JSON.stringify(plan)} failed`, { cause });
    }
  }
  console.log([...hits].map(([fault, count]) => `${fault} ${count}`).join(", "), `; cold boots ${coldBoots}`);
  const missed = [...BEGINNING_FAULTS].filter((fault) => !hits.has(fault));
  if (done >= BEGINNING_CYCLES && missed.length > 0) throw new Error(`these met nothing at all: ${missed}`);
  return done;
}
