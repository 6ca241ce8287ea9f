/**
 * One workspace on the whole stack, cycle after cycle. After each: saved files are all there with their bytes, memory goes
 * on or its loss was announced, one process at most has the disk, and nothing is left of machines that ended.
 * Length: one cycle from leaving to looking, in the order it happens.
 */
import { randomUUID } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Scope } from "@atoll/base/scope";
import { SeededRandom } from "@atoll/hostd/proof/world/seeded-random";
import type { WorkspaceStatus } from "@atoll/protocol/workspace-status";
import { Progress } from "../scripts/bootstrap/progress.mjs";
import { readEnv, type StartEnv } from "../scripts/start/env.ts";
import { freePort } from "../scripts/start/free-port.ts";
import { prepare } from "../scripts/start/prepare.ts";
import { startStack } from "../scripts/start/stack.ts";
import { ChaosHost } from "./chaos-host.ts";
import type { ChaosOptions } from "./chaos-options.ts";
import { ChaosSession } from "./chaos-session.ts";
import { type CyclePlan, planCycle, type Victim } from "./cycle-plan.ts";
import { Workload } from "./workload.ts";

/** A cold boot on two busy cores, behind a hostd that is being restarted. */
const BACK_TIMEOUT_MS = 150_000;
const SEALED_TIMEOUT_MS = 60_000;
/** The meter looks a few times a minute. */
const IDLE_TIMEOUT_MS = 150_000;
const LEFTOVER_TIMEOUT_MS = 30_000;
const LOG_LINES = 40;

export async function playRealCycles(options: ChaosOptions): Promise<number> {
  const scope = new Scope();
  try {
    const run = await RealRun.start(scope, options);
    const endMs = performance.now() + options.seconds * 1000;
    let done = 0;
    for (; done < options.cycles && performance.now() < endMs; done++) await run.cycle(done);
    await run.finish();
    return done;
  } finally {
    await scope.close();
  }
}

class RealRun {
  readonly #host: ChaosHost;
  readonly #env: StartEnv;
  readonly #random: SeededRandom;
  readonly #signal: AbortSignal;
  readonly #workload = new Workload();
  isDone = false;
  #saved = 0;
  #coldBoots = 0;

  static async start(
    scope: Scope,
    { seed, signal, isPrepared, cacheDirectory }: ChaosOptions,
  ): Promise<RealRun> {
    const dataDirectory = await mkdtemp(join(tmpdir(), "atoll-chaos-"));
    scope.defer(() => rm(dataDirectory, { recursive: true, force: true }));
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
    const stack = await startStack({
      env,
      progress,
      signal,
      durableDatabase: false,
      quickRestarts: true,
      onNote: () => {},
    });
    scope.defer(() => stack.stop(AbortSignal.abort()));
    let run: RealRun | undefined;
    const host = new ChaosHost(stack, { ownerId: randomUUID(), workspaceId: randomUUID() });
    // Ended before the stack is: what it left running would outlive it.
    scope.defer(() => host.delete().catch(() => {}));
    // What hostd said last, when something fails: its log goes with the directory.
    scope.defer(async () => {
      if (!run?.isDone) console.error(await lastWords(join(logs, "hostd.log")));
    });
    await host.until("created", BACK_TIMEOUT_MS, () => host.create().then(() => true), signal);
    run = new RealRun(host, env, new SeededRandom(seed), signal);
    using session = await run.#session();
    await run.#workload.startMemory(session);
    return run;
  }

  private constructor(host: ChaosHost, env: StartEnv, random: SeededRandom, signal: AbortSignal) {
    this.#host = host;
    this.#env = env;
    this.#random = random;
    this.#signal = signal;
  }

  async cycle(index: number): Promise<void> {
    this.#signal.throwIfAborted();
    const plan = planCycle(index, this.#random);
    const startedMs = performance.now();
    try {
      const outcome = await this.#play(plan);
      const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
      const victim = plan.victim === "nobody" ? "" : `, ${plan.victim} killed after ${plan.killAfterMs} ms`;
      console.log(`cycle ${index}: ${plan.path}${victim}: ${outcome} (${seconds} s)`);
    } catch (cause) {
      throw new Error(`cycle ${index} ${JSON.stringify(plan)} failed`, { cause });
    }
  }

  async finish(): Promise<void> {
    await this.#host.delete();
    await this.#nothingLeft();
    this.isDone = true;
    console.log(`${this.#saved} files kept, ${this.#coldBoots} announced cold boots`);
  }

  async #play(plan: CyclePlan): Promise<string> {
    const before = await this.#host.status();
    {
      using session = await this.#session();
      await this.#workload.save(session, `file-${this.#saved++}`);
      await this.#workload.typeMark(session);
    }
    const killing = this.#kill(plan);
    const path = this.#take(plan);
    const [taken] = await Promise.allSettled([path, killing]);
    if (plan.victim === "nobody" && taken.status === "rejected") throw taken.reason;
    const status = await this.#back();
    return this.#check(plan, before, status);
  }

  /** Leaves `running` by the plan's path and begins to come back. */
  async #take({ path, victim }: CyclePlan): Promise<void> {
    const host = this.#host;
    switch (path) {
      case "grace": {
        const pid = await host.machinePid();
        const paused = await host.post("pause");
        if (paused.pausedIn !== "memory") throw new Error(`paused in ${paused.pausedIn}, not in memory`);
        await host.post("resume");
        if (victim === "nobody" && (await host.machinePid()) !== pid) {
          throw new Error("the return within the grace time got another process");
        }
        return;
      }
      case "sealed":
        await host.post("pause");
        await this.#sealed("requested");
        await host.post("resume");
        return;
      case "idle":
        await host.setIdle(1);
        try {
          await host.until(
            "paused for idleness",
            IDLE_TIMEOUT_MS,
            async () => {
              const { state, reason } = await host.status();
              if (victim !== "nobody" && state === "failed") return true;
              return state === "paused" && reason === "idle" ? true : undefined;
            },
            this.#signal,
          );
        } finally {
          // Through whatever restart is under way; else it would pause again while it is looked at.
          await host.until("idle time set", BACK_TIMEOUT_MS, () => this.#idleOff(), this.#signal);
        }
        return;
      case "drain": {
        const pid = host.stack.pids().hostd;
        if (pid !== undefined) process.kill(pid, "SIGTERM");
        await host.until(
          "another hostd",
          BACK_TIMEOUT_MS,
          async () => (host.stack.pids().hostd !== pid && (await host.health()).ok ? true : undefined),
          this.#signal,
        );
        if (victim === "nobody") await this.#sealed("host_shutdown");
        return;
      }
      case "restore": {
        const checkpointId = randomUUID();
        await host.checkpoint(checkpointId);
        {
          using session = await this.#session();
          await session.run("sh", "-c", "echo later > /workspace/later && sync /workspace/later");
        }
        await host.restore(checkpointId, randomUUID());
        using session = await this.#session();
        const later = await session.run("sh", "-c", "test -e /workspace/later && echo there || echo gone");
        if (later !== "gone") throw new Error("what came after the checkpoint is still there");
        await host.deleteCheckpoints();
      }
    }
  }

  async #idleOff(): Promise<true> {
    await this.#host.setIdle(604_800);
    return true;
  }

  /** Nothing of it runs and its memory is on the disk. */
  async #sealed(reason: WorkspaceStatus["reason"]): Promise<void> {
    const host = this.#host;
    const status = await host.until(
      "sealed",
      SEALED_TIMEOUT_MS,
      async () => {
        const now = await host.status();
        return now.state === "paused" && now.pausedIn === "disk" ? now : undefined;
      },
      this.#signal,
    );
    if (status.reason !== reason) throw new Error(`paused for ${status.reason}, not ${reason}`);
    const { disk } = await host.record();
    const mine = [...(await host.liveMachines())].filter((id) => disk?.diskId.startsWith(id.slice(0, 8)));
    if (mine.length > 0) throw new Error(`sealed, and ${mine} lives`);
  }

  async #kill({ victim, killAfterMs }: CyclePlan): Promise<void> {
    if (victim === "nobody") return;
    await delay(killAfterMs);
    const pid = await this.#pidOf(victim);
    // It may have ended by itself meanwhile, which is what was wanted.
    if (pid !== undefined) killIfThere(pid);
  }

  async #pidOf(victim: Exclude<Victim, "nobody">): Promise<number | undefined> {
    if (victim === "vmm") return this.#host.machinePid();
    return this.#host.stack.pids()[victim];
  }

  /** The user returns, and tries again until they are let in. */
  async #back(): Promise<WorkspaceStatus> {
    const host = this.#host;
    return host.until(
      "running again, its agent answering",
      BACK_TIMEOUT_MS,
      async () => {
        using _session = await this.#enter();
        const status = await host.status();
        return status.state === "running" ? status : undefined;
      },
      this.#signal,
    );
  }

  async #check(plan: CyclePlan, before: WorkspaceStatus, after: WorkspaceStatus): Promise<string> {
    using session = await this.#session();
    const wrong = await this.#workload.checkFiles(session);
    if (wrong.length > 0) throw new Error(`saved files are not what they were: ${wrong}`);
    const { disk } = await this.#host.record();
    const machines = [...(await this.#host.liveMachines())].filter((id) =>
      disk?.diskId.startsWith(id.slice(0, 8)),
    );
    if (machines.length !== 1) throw new Error(`${machines.length} machines have the disk: ${machines}`);
    if (after.generation < before.generation) throw new Error("the generation went back");
    let outcome = "memory goes on";
    if (!(await this.#workload.isMemoryThere(session))) {
      const isAnnounced = after.startedBy === "boot" || after.lostMemory !== undefined;
      if (!isAnnounced) throw new Error(`memory is gone and nothing says so: ${JSON.stringify(after)}`);
      if (["nobody", "gateway", "web"].includes(plan.victim)) {
        throw new Error(`memory is gone though nothing that holds it was killed: ${JSON.stringify(after)}`);
      }
      this.#coldBoots += 1;
      outcome = `cold boot, announced as ${after.lostMemory?.code ?? after.startedBy}`;
      await this.#workload.startMemory(session);
    }
    if (plan.path === "restore") await this.#host.deleteCheckpoints();
    await this.#webAnswers();
    await this.#onlyLiveDirectories();
    return outcome;
  }

  async #session(): Promise<ChaosSession> {
    const enter = () => this.#enter();
    return this.#host.until("a session through the gateway", BACK_TIMEOUT_MS, enter, this.#signal);
  }

  /** One try: what does not run is started, as by a user who looks; the agent has answered. */
  async #enter(): Promise<ChaosSession> {
    const { stack, ownerId, workspaceId, slug } = this.#host;
    const { state } = await this.#host.status();
    if (["paused", "stopped", "failed"].includes(state)) await this.#host.post("resume");
    const session = await ChaosSession.open({
      ...{ stack, ownerId, workspaceId, slug },
      gatewayPort: this.#env.ports.gateway,
    });
    try {
      await session.run("true");
      return session;
    } catch (error) {
      session[Symbol.dispose]();
      throw error;
    }
  }

  async #webAnswers(): Promise<void> {
    await this.#host.until(
      "web answers",
      BACK_TIMEOUT_MS,
      async () => {
        const answer = await fetch(`${this.#host.stack.webUrl}/healthz`, {
          signal: AbortSignal.timeout(5000),
        });
        return answer.ok ? true : undefined;
      },
      this.#signal,
    );
  }

  async #onlyLiveDirectories(): Promise<void> {
    await this.#host.until(
      "run directories of ended machines are gone",
      LEFTOVER_TIMEOUT_MS,
      async () => {
        const live = await this.#host.liveMachines();
        const dead = (await this.#host.runDirectories()).filter((name) => !live.has(name));
        if (dead.length > 0) throw new Error(`left over: ${dead}`);
        return true;
      },
      this.#signal,
    );
  }

  /** After the workspace was deleted, of a host without a pool. */
  async #nothingLeft(): Promise<void> {
    await this.#host.until(
      "nothing is left",
      LEFTOVER_TIMEOUT_MS,
      async () => {
        const left = [...(await this.#host.liveMachines()), ...(await this.#host.runDirectories())];
        if (left.length > 0) throw new Error(`left over: ${left}`);
        return true;
      },
      this.#signal,
    );
  }
}

async function lastWords(log: string): Promise<string> {
  const text = await readFile(log, "utf8").catch(() => "");
  return text.split("\n").slice(-LOG_LINES).join("\n");
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
