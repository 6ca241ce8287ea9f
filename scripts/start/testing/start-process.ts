import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { freePort } from "../free-port.ts";
import { repository } from "../layout.ts";

/** `npm start` as a process of its own, with what it prints; a dead process and a silent one both end a wait. */
export class StartProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #exited: Promise<number | NodeJS.Signals>;
  #text = "";
  #onText = () => {};

  constructor(environment: NodeJS.ProcessEnv) {
    const child = spawn(process.execPath, [join(repository, "scripts", "start.mjs")], {
      cwd: repository,
      env: { ...process.env, ...environment },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child = child;
    for (const output of [child.stdout, child.stderr]) {
      output.setEncoding("utf8").on("data", (chunk: string) => {
        this.#text += chunk;
        this.#onText();
      });
    }
    this.#exited = new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code, signal) => {
        resolve(code ?? signal ?? "SIGKILL");
        this.#onText();
      });
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get text(): string {
    return this.#text;
  }

  /** What a finished step printed behind its time; undefined for a step that did not end well. */
  resultOf(title: string): string | undefined {
    // Behind its title stands a time: no other title that begins the same.
    const step = new RegExp(`^ ok {3}${title} (?:\\d+ min )?[\\d.]+ s(?: {2})?(.*)$`, "m");
    return step.exec(this.#text)?.[1];
  }

  /** Until `pattern` was printed. @throws Error with everything printed when the process ended without, or in time */
  async printed(pattern: RegExp, timeoutMs: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = setTimeout(() => reject(this.#silence(`not within ${timeoutMs} ms`, pattern)), timeoutMs);
    const look = () => {
      if (pattern.test(this.#text)) resolve();
      else if (this.#child.exitCode !== null || this.#child.signalCode !== null)
        reject(this.#silence("ended", pattern));
    };
    this.#onText = look;
    look();
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      this.#onText = () => {};
    }
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** Exit code, or the signal that ended it. */
  exited(): Promise<number | NodeJS.Signals> {
    return this.#exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.signal("SIGTERM");
    await this.#exited;
  }

  #silence(how: string, pattern: RegExp): Error {
    return new Error(`${how} without ${pattern}:\n${this.#text}`);
  }
}

/** Ports that were free a moment ago, as `npm start` is told of them. */
export async function startPorts() {
  return {
    ATOLL_WEB_PORT: String(await freePort()),
    ATOLL_GATEWAY_PORT: String(await freePort()),
    ATOLL_PREVIEW_PORT: String(await freePort()),
  };
}
