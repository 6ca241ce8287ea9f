/**
 * The host under test as its control plane asks it. Every question has an answer within a deadline, and every failure a
 * name: what breaks either is a breach, whatever the cycle makes of it.
 */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { AtollError } from "@atoll/protocol/atoll-error";
import { checkpointInfo, hostHealth } from "@atoll/protocol/hostd-api";
import { PLANS } from "@atoll/protocol/plans";
import { type WorkspaceStatus, workspaceStatus } from "@atoll/protocol/workspace-status";
import { z } from "zod";
import { HostdClient } from "../bench/hostd-client.ts";
import type { Stack } from "../scripts/start/stack.ts";
import { Trace } from "./trace.ts";

const journalRecord = z.object({
  workspaceId: z.string(),
  disk: z.object({ diskId: z.string() }).nullable(),
  machine: z.object({ machineId: z.string(), pid: z.number(), startTicks: z.string() }).nullable(),
});
export type JournalRecord = z.infer<typeof journalRecord>;

const POLL_MS = 40;
/** Nothing may be silent for longer: each is more than hostd's own deadlines within such a request allow together. */
const ANSWER_TIMEOUT_MS = 120_000;
/** With a memory that is given up and a boot from the disk behind it, or what the last request left to wait for. */
const START_ANSWER_TIMEOUT_MS = 720_000;
/** With a template that is baked first. */
const CREATE_ANSWER_TIMEOUT_MS = 1_200_000;
const checkpoints = z.object({ checkpoints: z.array(checkpointInfo) });

export class ChaosHost {
  readonly stack: Stack;
  readonly ownerId: string;
  readonly workspaceId: string;
  readonly trace = new Trace();
  readonly #api: HostdClient;
  #breaches: string[] = [];

  constructor(stack: Stack, ids: { ownerId: string; workspaceId: string }) {
    this.stack = stack;
    this.ownerId = ids.ownerId;
    this.workspaceId = ids.workspaceId;
    this.#api = new HostdClient(stack.layout.hostdSocket);
  }

  async create(): Promise<void> {
    const { cpus, memoryMb, diskMb } = PLANS.free;
    const slug = `chaos-${this.workspaceId.slice(0, 8)}`;
    await this.#send("PUT", "", {
      ...{ ownerId: this.ownerId, slug, image: "base", cpus, memoryMb, diskMb },
      ...{ egress: "off", idlePauseSeconds: NEVER_IDLE_SECONDS },
    });
  }

  async status(): Promise<WorkspaceStatus> {
    return workspaceStatus.parse(await this.#send("GET", ""));
  }

  async post(command: "pause" | "resume"): Promise<WorkspaceStatus> {
    return workspaceStatus.parse(await this.#send("POST", `/${command}`, {}));
  }

  async setIdle(idlePauseSeconds: number): Promise<void> {
    await this.#send("PATCH", "", { idlePauseSeconds });
  }

  async checkpoint(checkpointId: string): Promise<void> {
    checkpointInfo.parse(
      await this.#send("PUT", `/checkpoints/${checkpointId}`, { name: "chaos", withMemory: true }),
    );
  }

  async restore(checkpointId: string, safetyCheckpointId: string): Promise<void> {
    await this.#send("POST", "/restore", { checkpointId, safetyCheckpointId });
  }

  async deleteCheckpoints(): Promise<void> {
    const list = checkpoints.parse(await this.#send("GET", "/checkpoints"));
    for (const { checkpointId } of list.checkpoints) {
      await this.#send("DELETE", `/checkpoints/${checkpointId}`);
    }
  }

  async delete(): Promise<void> {
    await this.#send("DELETE", "");
  }

  async isHealthy(): Promise<boolean> {
    return hostHealth.safeParse(await this.#api.send("GET", "/healthz").catch(() => undefined)).success;
  }

  /** The journal's word on it. */
  async record(): Promise<JournalRecord> {
    const path = join(this.stack.layout.data, "journal", "workspaces", `${this.workspaceId}.json`);
    return journalRecord.parse(JSON.parse(await readFile(path, "utf8")));
  }

  /** Of the machine's process, if exactly that one lives. */
  async machinePid(): Promise<number | undefined> {
    const { machine } = await this.record();
    if (machine === null) return undefined;
    const stat = await readFile(`/proc/${machine.pid}/stat`, "utf8").catch(() => "");
    // The name in parentheses may hold spaces; the start time is the 20th field behind it.
    const startTicks = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
    return startTicks === machine.startTicks ? machine.pid : undefined;
  }

  /** What must not have happened since it was last asked. */
  takeBreaches(): string[] {
    const breaches = this.#breaches;
    this.#breaches = [];
    return breaches;
  }

  breach(text: string): void {
    this.#breaches.push(text);
  }

  /** Of whatever kind it is, an error has to have a name. Returns it. */
  noted(who: string, error: unknown): unknown {
    this.trace.note(`${who}: ${error instanceof AtollError ? error.code : String(error)}`);
    if (!(error instanceof AtollError)) this.breach(`${who} failed without a code: ${String(error)}`);
    else this.noteCode(who, error.code);
    return error;
  }

  noteCode(who: string, code: string): void {
    if (code === "internal") this.breach(`${who} was told "internal"`);
  }

  /** Until `holds`; errors with a name count as not yet. */
  async until<T>(
    what: string,
    timeoutMs: number,
    holds: () => Promise<T | undefined>,
    signal: AbortSignal,
  ): Promise<T> {
    const endMs = performance.now() + timeoutMs;
    for (;;) {
      signal.throwIfAborted();
      let last: unknown;
      try {
        const value = await holds();
        if (value !== undefined) return value;
      } catch (error) {
        if (!(error instanceof AtollError)) throw error;
        last = error;
      }
      if (performance.now() > endMs) {
        this.trace.note(`not within ${timeoutMs / 1000} s: ${what}`);
        throw new Error(`not within ${timeoutMs / 1000} s: ${what}`, { cause: last });
      }
      await delay(POLL_MS);
    }
  }

  async #send(method: string, path: string, body?: unknown): Promise<unknown> {
    const what = `${method} ${path}`;
    const timeoutMs = answerTimeoutMs(method, path);
    const late = new AbortController();
    const timer = setTimeout(() => {
      this.breach(`${what} was not answered within ${timeoutMs / 1000} s`);
      late.abort(new AtollError("request.timeout", what));
    }, timeoutMs);
    if (method !== "GET") this.trace.note(what);
    try {
      const answer = await this.#api.send(
        method,
        `/v1/workspaces/${this.workspaceId}${path}`,
        body,
        late.signal,
      );
      this.trace.note(`${what} answered${wordsOf(answer)}`);
      return answer;
    } catch (error) {
      throw this.noted(what, error);
    } finally {
      clearTimeout(timer);
    }
  }
}

function answerTimeoutMs(method: string, path: string): number {
  if (method === "PUT" && path === "") return CREATE_ANSWER_TIMEOUT_MS;
  return method === "POST" || method === "PUT" ? START_ANSWER_TIMEOUT_MS : ANSWER_TIMEOUT_MS;
}

function wordsOf(answer: unknown): string {
  const { data } = workspaceStatus.safeParse(answer);
  return data === undefined ? "" : `: ${data.state} ${data.reason} ${data.generation} ${data.pausedIn ?? ""}`;
}

/** A week: as long as an idle time may be. */
export const NEVER_IDLE_SECONDS = 604_800;
