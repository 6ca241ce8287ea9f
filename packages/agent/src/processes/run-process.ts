import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import type { Readable } from "node:stream";
import type { Clock } from "@atoll/base/clock";
import { deferred } from "@atoll/base/deferred";
import { AtollError } from "@atoll/protocol/atoll-error";
import { openerItems } from "@atoll/protocol/call";
import { PROCESSES_PER_WORKSPACE } from "@atoll/protocol/limits";
import type { ParsedParamsOf } from "@atoll/protocol/message";
import { processRun } from "@atoll/protocol/messages/process";
import type { MuxStream } from "@atoll/protocol/mux-stream";
import type { GuestSystem } from "../system/guest-system.ts";
import { exposeToOutOfMemory } from "../system/oom-score.ts";
import { startFolder } from "../system/start-folder.ts";
import type { UserAccount } from "../system/user-account.ts";
import { whenDrained } from "../system/when-drained.ts";

/** From SIGTERM to SIGKILL. */
const KILL_AFTER_MS = 5000;
/** A program in the background may hold the pipes of one that ended: after this much silence nobody waits for it. */
const SILENCE_AFTER_EXIT_MS = 500;

export interface ProcessRunnerOptions {
  system: Pick<GuestSystem, "joinPrograms">;
  clock: Clock;
  readAccount: () => Promise<UserAccount>;
  defaultFolder: string;
}

type RunParams = ParsedParamsOf<typeof processRun>;

/** Runs programs for callers; each lives as long as its stream at most. */
export class ProcessRunner {
  readonly #options: ProcessRunnerOptions;
  #running = 0;

  constructor(options: ProcessRunnerOptions) {
    this.#options = options;
  }

  async run(params: RunParams, stream: MuxStream): Promise<void> {
    if (this.#running >= PROCESSES_PER_WORKSPACE) {
      throw new AtollError("process.limit_reached", undefined, {
        details: { limit: PROCESSES_PER_WORKSPACE },
      });
    }
    this.#running++;
    try {
      const child = await this.#start(params);
      if (stream.isOver) child.kill("SIGKILL");
      else await this.#serve(child, params, stream);
    } finally {
      this.#running--;
    }
  }

  async #start(params: RunParams): Promise<ChildProcessWithoutNullStreams> {
    const account = await this.#options.readAccount();
    const env = { ...account.env, ...params.env };
    const cwd = await startFolder(params.cwd, [this.#options.defaultFolder, account.home]);
    const [file = "", ...args] = params.argv;
    const notStarted = (cause: unknown) => new AtollError("process.not_started", "spawn failed", { cause });
    let child: ChildProcessWithoutNullStreams;
    this.#options.system.joinPrograms();
    try {
      // A session of its own: its group can be signalled whole, and no terminal is in reach.
      child = spawn(file, args, {
        cwd,
        env,
        uid: account.uid,
        gid: account.gid,
        detached: true,
        stdio: "pipe",
      });
    } catch (cause) {
      throw notStarted(cause);
    }
    child.on("error", () => {
      // After the start this only says that a signal found nobody.
    });
    if (child.pid === undefined) throw notStarted((await once(child, "error"))[0]);
    exposeToOutOfMemory(child.pid);
    return child;
  }

  async #serve(child: ChildProcessWithoutNullStreams, params: RunParams, stream: MuxStream): Promise<void> {
    const { clock } = this.#options;
    const pid = child.pid as number;
    const exited = deferred<{ exitCode: number | null; signal: string | null }>();
    let isExited = false;
    child.once("exit", (exitCode, signal) => {
      isExited = true;
      exited.resolve({ exitCode, signal });
    });
    let isTimedOut = false;
    let cancelKill: (() => void) | undefined;
    const cancelLimit = clock.schedule(params.timeoutMs, () => {
      isTimedOut = true;
      signalGroup(pid, "SIGTERM");
      cancelKill = clock.schedule(KILL_AFTER_MS, () => signalGroup(pid, "SIGKILL"));
    });
    const isDone = { value: false };
    void stream.closed.then(() => {
      if (!isDone.value) signalGroup(pid, "SIGKILL");
      for (const pipe of [child.stdin, child.stdout, child.stderr]) pipe.destroy();
    });
    try {
      stream.sendReply({ pid });
      void takeInput(child, stream, () => isExited, pid);
      const outputs = [
        new OutputPump(child.stdout, clock, (bytes) => stream.write(bytes)),
        new OutputPump(child.stderr, clock, (bytes) => stream.write(bytes, { isSecondary: true })),
      ];
      const exit = await exited.promise;
      for (const output of outputs) output.onExit();
      await Promise.all(outputs.map((output) => output.done));
      isDone.value = true;
      if (!stream.isOver) await stream.sendEvent({ type: "exit", ...exit, isTimedOut });
    } finally {
      cancelLimit();
      // After a time limit the group's rest is killed in any case; otherwise what went to the background may live.
      if (isTimedOut) signalGroup(pid, "SIGKILL");
      cancelKill?.();
    }
  }
}

/** The caller's data to stdin under its backpressure, its signals to the group, its END closes stdin. */
async function takeInput(
  child: ChildProcessWithoutNullStreams,
  stream: MuxStream,
  isExited: () => boolean,
  pid: number,
): Promise<void> {
  const { stdin } = child;
  // EPIPE: the program does not want its input; what comes for it is read and dropped.
  stdin.on("error", () => stdin.destroy());
  try {
    for await (const item of openerItems(stream, processRun)) {
      if (item.kind === "event") {
        if (!isExited()) signalGroup(pid, item.value.signal);
      } else if (!stdin.destroyed && !stdin.write(item.bytes)) {
        await whenDrained(stdin);
      }
    }
    stdin.end();
  } catch {
    // The stream is over or broke the protocol: its `closed` ends the program.
  }
}

/** Moves one output to the stream; what the stream does not take stays in the pipe and stops the program. */
class OutputPump {
  readonly done: Promise<void>;
  readonly #pipe: Readable;
  readonly #clock: Clock;
  #cancelSilence: (() => void) | undefined;
  #isExited = false;
  #isWriting = false;

  constructor(pipe: Readable, clock: Clock, write: (bytes: Uint8Array) => Promise<void>) {
    this.#pipe = pipe;
    this.#clock = clock;
    this.done = this.#pump(write).catch(() => {
      // The stream is over; the program is being killed.
    });
  }

  onExit(): void {
    this.#isExited = true;
    this.#listen();
  }

  async #pump(write: (bytes: Uint8Array) => Promise<void>): Promise<void> {
    const closed = once(this.#pipe, "close").catch(() => {});
    for await (const chunk of this.#pipe) {
      this.#cancelSilence?.();
      this.#isWriting = true;
      await write(chunk as Uint8Array);
      this.#isWriting = false;
      this.#listen();
    }
    this.#cancelSilence?.();
    await closed;
  }

  #listen(): void {
    this.#cancelSilence?.();
    if (!this.#isExited || this.#isWriting || this.#pipe.destroyed) return;
    this.#cancelSilence = this.#clock.schedule(SILENCE_AFTER_EXIT_MS, () => this.#pipe.destroy());
  }
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // Nobody of the group is left.
  }
}
