/** Finds the repository around a folder of a view and pushes one of its branches to a remote. */
import { AtollError, toAtollError } from "@atoll/protocol/atoll-error";
import type { Connection } from "../connection/connection.ts";
import { ModelState } from "../model-state.ts";
import { runProcess } from "../processes/run-process.ts";
import { gitArgv, gitWords, type PushTarget, pushArgv, pushEnv, pushFault } from "./git-command.ts";

export interface Repository {
  folder: string;
  branches: string[];
  /** Undefined when no branch is checked out. */
  current: string | undefined;
  remoteUrls: string[];
  /** Files whose changes are in no commit: a push leaves them behind. */
  uncommittedCount: number;
}

export interface GitPushState {
  phase: "looking" | "none" | "ready" | "pushing" | "pushed" | "failed";
  repository: Repository | undefined;
  /** git's own words. */
  output: string;
  error: AtollError | undefined;
}

const LOOK_TIMEOUT_MS = 60_000;
const PUSH_TIMEOUT_MS = 20 * 60_000;
const OUTPUT_MAX_CHARS = 64 * 1024;

export class GitPush {
  readonly state = new ModelState<GitPushState>({
    phase: "looking",
    repository: undefined,
    output: "",
    error: undefined,
  });
  readonly #connection: Pick<Connection, "link">;
  #stop = new AbortController();

  constructor(connection: Pick<Connection, "link">) {
    this.#connection = connection;
  }

  async look(folder: string): Promise<void> {
    this.#stop.abort(new AtollError("request.aborted"));
    this.#stop = new AbortController();
    this.state.update({ phase: "looking", repository: undefined, output: "", error: undefined });
    try {
      const top = await this.#git(folder, "rev-parse", "--show-toplevel");
      if (top.exitCode !== 0) return this.state.update({ phase: "none" });
      const root = top.stdout.trimEnd();
      const lines = async (...argv: string[]) =>
        (await this.#git(root, ...argv)).stdout.split("\n").filter(Boolean);
      const branches = await lines("for-each-ref", "--format=%(refname:short)", "refs/heads");
      const [current] = await lines("symbolic-ref", "--quiet", "--short", "HEAD");
      const remotes = await lines("config", "--get-regexp", "^remote\\..*\\.url$");
      const changed = await lines("status", "--porcelain");
      this.state.update({
        phase: "ready",
        repository: {
          folder: root,
          branches,
          current,
          remoteUrls: remotes.map((line) => line.slice(line.indexOf(" ") + 1)),
          uncommittedCount: changed.length,
        },
      });
    } catch (cause) {
      this.#fail(cause);
    }
  }

  async push(target: PushTarget): Promise<void> {
    this.#stop = new AbortController();
    this.state.update({ phase: "pushing", output: "", error: undefined });
    let output = "";
    try {
      const result = await runProcess(this.#connection, {
        argv: pushArgv(target),
        env: pushEnv(target),
        timeoutMs: PUSH_TIMEOUT_MS,
        signal: this.#stop.signal,
        onOutput: (text) => {
          output = (output + text).slice(-OUTPUT_MAX_CHARS);
          this.state.update({ output: gitWords(output) });
        },
      });
      if (result.isTimedOut) throw new AtollError("request.timeout", "git push took too long");
      const fault = pushFault(result);
      if (fault) throw new AtollError(fault, `git push ended with ${result.exitCode}`);
      this.state.update({ phase: "pushed" });
    } catch (cause) {
      this.#fail(cause);
    }
  }

  /** Ends git as well. */
  cancel(): void {
    this.#stop.abort(new AtollError("request.aborted"));
  }

  #git(folder: string, ...argv: string[]) {
    return runProcess(this.#connection, {
      argv: gitArgv(folder, ...argv),
      env: { GIT_OPTIONAL_LOCKS: "0" },
      timeoutMs: LOOK_TIMEOUT_MS,
      signal: this.#stop.signal,
    });
  }

  #fail(cause: unknown): void {
    const error = toAtollError(cause);
    // Somebody closed the dialog or looked elsewhere.
    if (error.code !== "request.aborted") this.state.update({ phase: "failed", error });
  }
}
