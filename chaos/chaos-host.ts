/** The host under test as its control plane and its operator see it: hostd's API, the journal, the process table. */

import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
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

const POLL_MS = 50;

export class ChaosHost {
  readonly stack: Stack;
  readonly ownerId: string;
  readonly workspaceId: string;
  readonly #api: HostdClient;

  constructor(stack: Stack, ids: { ownerId: string; workspaceId: string }) {
    this.stack = stack;
    this.ownerId = ids.ownerId;
    this.workspaceId = ids.workspaceId;
    this.#api = new HostdClient(stack.layout.hostdSocket);
  }

  get slug(): string {
    return `chaos-${this.workspaceId.slice(0, 8)}`;
  }

  async create(): Promise<void> {
    const { cpus, memoryMb, diskMb } = PLANS.free;
    await this.#send("PUT", "", {
      ...{ ownerId: this.ownerId, slug: this.slug, image: "base", cpus, memoryMb, diskMb },
      ...{ egress: "off", idlePauseSeconds: 604_800 },
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
    const list = z
      .object({ checkpoints: z.array(checkpointInfo) })
      .parse(await this.#send("GET", "/checkpoints"));
    for (const { checkpointId } of list.checkpoints) {
      await this.#send("DELETE", `/checkpoints/${checkpointId}`);
    }
  }

  async delete(): Promise<void> {
    await this.#send("DELETE", "");
  }

  async health(): Promise<z.infer<typeof hostHealth>> {
    return hostHealth.parse(await this.#api.send("GET", "/healthz"));
  }

  /** Until `holds`; faults on the way, as of a process that is being restarted, count as not yet. */
  async until<T>(
    what: string,
    timeoutMs: number,
    holds: () => Promise<T | undefined>,
    signal: AbortSignal,
  ): Promise<T> {
    const endMs = performance.now() + timeoutMs;
    let last: unknown;
    for (;;) {
      signal.throwIfAborted();
      try {
        const value = await holds();
        if (value !== undefined) return value;
        last = undefined;
      } catch (error) {
        last = error;
      }
      if (performance.now() > endMs) {
        throw new Error(`not within ${timeoutMs / 1000} s: ${what}`, { cause: last });
      }
      await delay(POLL_MS);
    }
  }

  async record(): Promise<JournalRecord> {
    const path = join(this.stack.layout.data, "journal", "workspaces", `${this.workspaceId}.json`);
    return journalRecord.parse(JSON.parse(await readFile(path, "utf8")));
  }

  /** The machine's process, if exactly that one lives. */
  async machinePid(): Promise<number | undefined> {
    const { machine } = await this.record();
    if (machine === null) return undefined;
    const stat = await readFile(`/proc/${machine.pid}/stat`, "utf8").catch(() => "");
    // The name in parentheses may hold spaces; the start time is the 20th field behind it.
    const startTicks = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
    return startTicks === machine.startTicks ? machine.pid : undefined;
  }

  /** Run directories in memory-backed space, each one machine's. */
  async runDirectories(): Promise<string[]> {
    const place = createHash("sha256").update(this.stack.layout.data).digest("hex").slice(0, 12);
    return readdir(`/dev/shm/atoll-${place}/run`).catch(() => []);
  }

  /** Machines that any process's command line names, of this data directory's disks. */
  async liveMachines(): Promise<Set<string>> {
    const directories = await this.runDirectories();
    const live = new Set<string>();
    for (const name of await readdir("/proc")) {
      if (!/^\d+$/.test(name)) continue;
      const command = await readFile(`/proc/${name}/cmdline`, "utf8").catch(() => "");
      for (const directory of directories) if (command.includes(`/${directory}`)) live.add(directory);
      if (!command.includes(this.stack.layout.data)) continue;
      for (const machineId of command.match(/[0-9a-f]{8}-[0-9a-f]{12}(?![0-9a-f-])/g) ?? [])
        live.add(machineId);
    }
    return live;
  }

  #send(method: string, path: string, body?: unknown): Promise<unknown> {
    return this.#api.send(method, `/v1/workspaces/${this.workspaceId}${path}`, body);
  }
}
