import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, copyFileSync, fstatSync, openSync, readFileSync, statSync, truncateSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { StepFailure } from "../bootstrap/progress.mjs";
import { tailOf } from "../bootstrap/run-logged.mjs";
import { faultWords } from "./fault-words.ts";
import { identify, type ProcessIdentity } from "./process-identity.ts";

/**
 * One of our long-running processes: started until it is healthy, started again when it ends by itself, stopped once.
 * Its output goes straight into a file, not through this process: it can still log when this one was killed.
 */
export interface ServiceOptions {
  name: string;
  /** Run by this process's own Node. */
  argv: string[];
  cwd: string;
  env: NodeJS.ProcessEnv;
  log: string;
  /** True once requests are served; rejections count as "not yet". */
  isHealthy: (signal: AbortSignal) => Promise<boolean>;
  startTimeoutMs: number;
  /** For people: restarts and what they are due to. */
  onNote: (text: string) => void;
  /** Whenever the process behind the service changes. */
  onProcess: (identity: ProcessIdentity | undefined) => void;
  /** Restarts never wait longer than this; half a minute when absent. */
  longestRestartDelayMs?: number;
}

const HEALTH_INTERVAL_MS = 100;
const HEALTH_TIMEOUT_MS = 2_000;
const FIRST_RESTART_DELAY_MS = 500;
const LONGEST_RESTART_DELAY_MS = 30_000;
/** Having run this long, the next fault is a new one. */
const STABLE_AFTER_MS = 60_000;
const LOG_LIMIT_BYTES = 10 * 1024 * 1024;
const LOG_CHECK_INTERVAL_MS = 30_000;

export class Service {
  readonly #options: ServiceOptions;
  readonly #stopping = new AbortController();
  readonly #logTimer: NodeJS.Timeout;
  #child: ChildProcess | undefined;
  #exited: Promise<string> = Promise.resolve("not started");
  #startedMs = 0;
  /** Where in the log this process began. */
  #logFromBytes = 0;
  #restartDelayMs = FIRST_RESTART_DELAY_MS;

  constructor(options: ServiceOptions) {
    this.#options = options;
    this.#logTimer = setInterval(() => rotate(options.log), LOG_CHECK_INTERVAL_MS);
    this.#logTimer.unref();
  }

  get name(): string {
    return this.#options.name;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Resolves when healthy; rejects with the end of its log. */
  async start(signal: AbortSignal): Promise<void> {
    rotate(this.#options.log);
    this.#spawn();
    await this.#waitHealthy(signal);
    void this.#supervise();
  }

  /** SIGTERM, then SIGKILL after `timeoutMs` or when `hurry` aborts. Idempotent. */
  async stop(timeoutMs: number, hurry?: AbortSignal): Promise<void> {
    this.#stopping.abort();
    clearInterval(this.#logTimer);
    const child = this.#child;
    if (!child) return;
    child.kill("SIGTERM");
    const deadline = new AbortController();
    const timer = setTimeout(() => deadline.abort(), timeoutMs);
    const giveUp = AbortSignal.any([deadline.signal, ...(hurry ? [hurry] : [])]);
    const kill = () => child.kill("SIGKILL");
    if (giveUp.aborted) kill();
    giveUp.addEventListener("abort", kill, { once: true });
    await this.#exited;
    clearTimeout(timer);
    giveUp.removeEventListener("abort", kill);
  }

  #spawn(): void {
    const { argv, cwd, env, log, onProcess } = this.#options;
    const output = openSync(log, "a", 0o600);
    this.#logFromBytes = fstatSync(output).size;
    // A group of its own, so that Ctrl-C reaches this process only and stopping keeps its order; and a signal
    // should this process be killed outright.
    // No core files, of machines neither: they would hold keys and memory. One byte is no file, feeds no core pipe
    // either, and is what machines set for themselves; from zero nobody could raise it to that.
    const limited = ["--core=1:1", "setpriv", "--pdeathsig", "TERM", "--", process.execPath, ...argv];
    const child = spawn("prlimit", limited, {
      cwd,
      env,
      detached: true,
      stdio: ["ignore", output, output],
    });
    closeSync(output);
    this.#child = child;
    this.#startedMs = performance.now();
    this.#exited = new Promise((resolve) => {
      child.once("error", (error) => resolve(error.message));
      child.once("exit", (code, signal) =>
        resolve(signal ? `ended by ${signal}` : `ended with code ${code}`),
      );
    });
    onProcess(child.pid === undefined ? undefined : identify(child.pid));
  }

  async #waitHealthy(signal: AbortSignal): Promise<void> {
    const { name, isHealthy, startTimeoutMs } = this.#options;
    const deadline = AbortSignal.timeout(startTimeoutMs);
    const stop = AbortSignal.any([signal, this.#stopping.signal, deadline]);
    const exited = this.#exited.then((how) => ({ how }));
    for (;;) {
      const probe = isHealthy(AbortSignal.any([stop, AbortSignal.timeout(HEALTH_TIMEOUT_MS)])).catch(
        () => false,
      );
      const first = await Promise.race([probe, exited]);
      if (first === true) return;
      if (typeof first === "object") throw this.#failure(`${name} ${first.how} before it was ready`);
      if (signal.aborted) throw signal.reason;
      if (deadline.aborted) throw this.#failure(`${name} was not ready within ${startTimeoutMs / 1_000} s`);
      await delay(HEALTH_INTERVAL_MS, undefined, { signal: stop }).catch(() => {});
    }
  }

  #failure(message: string): StepFailure {
    const { log } = this.#options;
    const words = faultWords(readFrom(log, this.#logFromBytes));
    if (words === undefined) {
      return new StepFailure(message, { logTail: tailOf(log), remedy: `Read ${log}` });
    }
    const remedy = words.remedy ?? "Correct what it names, then run the same command again.";
    return new StepFailure(`${message}: ${words.reason}`, { remedy: `${remedy} (log: ${log})` });
  }

  async #supervise(): Promise<void> {
    for (;;) {
      const how = await this.#exited;
      this.#options.onProcess(undefined);
      if (this.#stopping.signal.aborted) return;
      if (performance.now() - this.#startedMs > STABLE_AFTER_MS)
        this.#restartDelayMs = FIRST_RESTART_DELAY_MS;
      const delayMs = this.#restartDelayMs;
      this.#restartDelayMs = Math.min(
        delayMs * 2,
        this.#options.longestRestartDelayMs ?? LONGEST_RESTART_DELAY_MS,
      );
      this.#options.onNote(
        `${this.name} ${how}; starting it again in ${delayMs / 1_000} s (${this.#options.log})`,
      );
      await delay(delayMs, undefined, { signal: this.#stopping.signal }).catch(() => {});
      if (this.#stopping.signal.aborted) return;
      this.#spawn();
      await this.#waitHealthy(this.#stopping.signal).catch((error: unknown) => {
        if (this.#stopping.signal.aborted) return;
        // Has ended, which the next round says, or hangs: then the next one may do better.
        if (this.#child?.exitCode !== null || this.#child.signalCode !== null) return;
        this.#options.onNote(error instanceof Error ? error.message : String(error));
        this.#child.kill("SIGKILL");
      });
    }
  }
}

/** All of it when it was cut meanwhile; what a process says before it is ready is little. */
function readFrom(log: string, fromBytes: number): string {
  const bytes = readFileSync(log);
  return bytes.subarray(bytes.length < fromBytes ? 0 : fromBytes).toString("utf8");
}

/** Copy and cut: the process keeps its descriptor, which appends. Lines written in between may be lost. */
function rotate(log: string): void {
  const size = statSync(log, { throwIfNoEntry: false })?.size ?? 0;
  if (size < LOG_LIMIT_BYTES) return;
  copyFileSync(log, `${log}.1`);
  truncateSync(log);
}
