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

const journalRecord = z.object({
  workspaceId: z.string(),
  disk: z.object({ diskId: z.string() }).nullable(),
  machine: z.object({ machineId: z.string(), pid: z.number(), startTicks: z.string() }).nullable(),
});
export type JournalRecord = z.infer<typeof journalRecord>;

const POLL_MS = 40;
/** Nothing may be silent for longer: the longest chain of deadlines within one operation of a workspace of this size. */
const ANSWER_TIMEOUT_MS = 120_000;
const checkpoints = z.object({ checkpoints: z.array(checkpointInfo) });

export class ChaosHost {
  readonly stack: Stack;
  readonly ownerId: string;
  readonly workspaceId: string;
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
        throw new Error(`not within ${timeoutMs / 1000} s: ${what}`, { cause: last });
      }
      await delay(POLL_MS);
    }
  }

  async #send(method: string, path: string, body?: unknown): Promise<unknown> {
    const what = `${method} ${path}`;
    const late = new AbortController();
    const timer = setTimeout(() => {
      this.breach(`${what} was not answered within ${ANSWER_TIMEOUT_MS / 1000} s`);
      late.abort(new AtollError("request.timeout", what));
    }, ANSWER_TIMEOUT_MS);
    try {
      return await this.#api.send(method, `/v1/workspaces/${this.workspaceId}${path}`, body, late.signal);
    } catch (error) {
      throw this.noted(what, error);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** A week: as long as an idle time may be. */
export const NEVER_IDLE_SECONDS = 604_800;
