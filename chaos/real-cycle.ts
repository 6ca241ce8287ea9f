/**
 * One cycle on the real stack: something is saved, the workspace leaves by a path while something is done to the system,
 * its user returns. Then: saved files are all there with their bytes, and rows of the database, memory goes on or its loss was announced in this
 * very cycle, and the host is tidy.
 */
import { AtollError } from "@atoll/protocol/atoll-error";
import type { WorkspaceStatus } from "@atoll/protocol/workspace-status";
import { type CyclePath, type CyclePlan, type Fault, isInGuest } from "./cycle-plan.ts";
import { armInGuest, inflict, lifeOf } from "./inflict.ts";
import type { Ledger } from "./ledger.ts";
import { checkTidy } from "./leftovers.ts";
import type { LogWatch } from "./log-watch.ts";
import { BACK_TIMEOUT_MS, type PathContext, prepareFor, takePath } from "./take-path.ts";
import type { Workload } from "./workload.ts";

/** Nobody else's deadline has to pass first. */
const UNHARMED_BACK_TIMEOUT_MS = 180_000;
const WEB_TIMEOUT_MS = 180_000;
/** Until a path was taken without harm. */
const FIRST_TYPICAL_MS = 2000;
/** Those that hold nothing of the machine, or do it no harm that lasts. */
const KEEPS_MEMORY: readonly Fault[] = ["nobody", "gateway", "web", "postgres", "vmm_stall"];
/** hostd needs nothing of these: whatever was asked of it goes as planned. */
const NOT_NEEDED: readonly Fault[] = ["nobody", "web", "postgres"];
/** Ends of the machine by its own guest: no memory was promised. */
const BY_GUEST: readonly Fault[] = ["halt", "reboot", "panic"];

export interface CycleOutcome {
  /** The fault met something. */
  isHit: boolean;
  memory: "there" | "gone" | "no terminals";
  text: string;
  /** Where the time went, in seconds. */
  spent: string;
}

export class RealCycle {
  readonly #context: PathContext;
  readonly #workload: Workload;
  readonly #ledger: Ledger;
  readonly #log: LogWatch;
  readonly #typicalMs = new Map<CyclePath, number>();

  constructor(context: PathContext, workload: Workload, ledger: Ledger, hostdLog: LogWatch) {
    this.#context = context;
    this.#workload = workload;
    this.#ledger = ledger;
    this.#log = hostdLog;
  }

  async play(plan: CyclePlan): Promise<CycleOutcome> {
    const { host, census, tab, signal } = this.#context;
    const { path, fault } = plan;
    host.trace.begin();
    const laps = new Laps();
    await prepareFor(path, this.#context);
    const { mux } = await tab.opened(UNHARMED_BACK_TIMEOUT_MS, signal);
    await this.#workload.save(mux);
    const before = await host.status();
    const beganAtMs = Date.now();
    const delayMs = plan.at * (this.#typicalMs.get(path) ?? FIRST_TYPICAL_MS);
    const lifeToEnd = isInGuest(fault) ? await armInGuest(mux, fault, delayMs) : undefined;
    laps.end("save");
    const inflicting = inflict(host, plan, delayMs, plan.turn);
    const startedMs = performance.now();
    const writing = this.#ledger.write();
    const [taken, inflicted] = await Promise.allSettled([takePath(plan, this.#context), inflicting]);
    if (inflicted.status === "rejected") throw inflicted.reason;
    await writing.end();
    const { trace } = host;
    trace.note(taken.status === "rejected" ? `the path ended: ${taken.reason}` : "the path was taken");
    if (taken.status === "rejected") this.#judge(plan, taken.reason);
    else if (fault === "nobody") this.#typicalMs.set(path, performance.now() - startedMs);
    laps.end("path");
    const after = await this.#back(plan, lifeToEnd);
    trace.note("back");
    laps.end("back");
    const memory = await this.#checkMemory(plan, before, after, beganAtMs);
    trace.note(memory.text);
    laps.end("look");
    if (path === "restore") await host.deleteCheckpoints();
    await this.#webAnswers();
    await this.#ledger.check();
    await checkTidy(host, census, signal);
    laps.end("tidy");
    const breaches = [...host.takeBreaches(), ...(await this.#log.unnamedFaults())];
    if (breaches.length > 0) throw new Error(breaches.join("\n"));
    const reason = taken.status === "rejected" ? ` (the path: ${(taken.reason as AtollError).code})` : "";
    const isHit = inflicted.value;
    const text = `${memory.text}${isHit ? "" : ", nothing was hit"}${reason}`;
    return { isHit, memory: memory.state, text, spent: String(laps) };
  }

  /** Unharmed it has to be as planned; harm may end it, with a name. */
  #judge({ fault }: CyclePlan, reason: unknown): void {
    if (NOT_NEEDED.includes(fault) || !(reason instanceof AtollError)) throw reason;
    this.#context.host.noted("the path", reason);
  }

  /** The user returns and is let in. What the guest was to do to itself has happened then: it has another life. */
  async #back({ fault }: CyclePlan, lifeToEnd: string | undefined): Promise<WorkspaceStatus> {
    const { host, tab, signal } = this.#context;
    const isHarmless = KEEPS_MEMORY.includes(fault) && fault !== "vmm_stall";
    const timeoutMs = isHarmless ? UNHARMED_BACK_TIMEOUT_MS : BACK_TIMEOUT_MS;
    return host.until(
      "running again, its agent answering",
      timeoutMs,
      async () => {
        const { mux } = await tab.enter(timeoutMs, signal);
        if (lifeToEnd !== undefined && (await lifeOf(mux)) === lifeToEnd) return undefined;
        const status = await host.status();
        return status.state === "running" ? status : undefined;
      },
      signal,
    );
  }

  async #checkMemory(
    { fault }: CyclePlan,
    before: WorkspaceStatus,
    after: WorkspaceStatus,
    beganAtMs: number,
  ): Promise<{ state: CycleOutcome["memory"]; text: string }> {
    const { tab, signal } = this.#context;
    if (after.generation < before.generation) throw new Error("the generation went back");
    const { mux } = await tab.opened(UNHARMED_BACK_TIMEOUT_MS, signal);
    const state = await this.#workload.check(mux);
    if (state === "there") return { state, text: "memory goes on" };
    if (state === "no terminals") {
      if (fault !== "agent") throw new Error("the terminal is gone, and nothing ended the agent");
      await this.#workload.startTerminal(mux);
      return { state, text: "memory goes on, terminals ended with their agent" };
    }
    const said = JSON.stringify(after);
    if (KEEPS_MEMORY.includes(fault)) throw new Error(`memory is gone though nothing ended it: ${said}`);
    const lostBy = (after.lostMemory?.atMs ?? 0) >= beganAtMs ? after.lostMemory?.code : undefined;
    const isBooted = BY_GUEST.includes(fault) && after.startedBy === "boot" && after.sinceMs >= beganAtMs;
    if (lostBy === undefined && !isBooted) throw new Error(`memory is gone and nothing says so: ${said}`);
    if (lostBy === "internal") throw new Error(`memory was lost without a name: ${said}`);
    await this.#workload.startMemory(mux);
    return { state, text: `cold boot, announced as ${lostBy ?? after.reason}` };
  }

  async #webAnswers(): Promise<void> {
    const { host, signal } = this.#context;
    await host.until(
      "web answers",
      WEB_TIMEOUT_MS,
      async () => {
        const asked = fetch(`${host.stack.webUrl}/healthz`, { signal: AbortSignal.timeout(5000) });
        return (await asked.catch(() => undefined))?.ok ? true : undefined;
      },
      signal,
    );
  }
}

class Laps {
  #lastMs = performance.now();
  #text = "";

  end(name: string): void {
    const nowMs = performance.now();
    this.#text += ` ${name} ${((nowMs - this.#lastMs) / 1000).toFixed(1)}`;
    this.#lastMs = nowMs;
  }

  toString(): string {
    return this.#text.trim();
  }
}
