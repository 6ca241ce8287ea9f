import { randomUUID } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { BuiltImages, readBuiltVmm } from "@atoll/hostd/images/built-images";
import { readTemplate } from "@atoll/hostd/templates/read-template";
import type { Template } from "@atoll/hostd/templates/template-store";
import { type CreateWorkspace, hostHealth, templateInfo } from "@atoll/protocol/hostd-api";
import { PLANS } from "@atoll/protocol/plans";
import { type WorkspaceStatus, workspaceStatus } from "@atoll/protocol/workspace-status";
import { z } from "zod";
import type { Stack } from "../scripts/start/stack.ts";
import type { BareRestoreOptions } from "./b0.ts";
import { HostdClient } from "./hostd-client.ts";

const journalRecord = z.object({
  workspaceId: z.string(),
  machine: z.object({ pid: z.number() }).nullable(),
  disk: z.object({ diskId: z.string() }).nullable(),
});

/** The host under measurement, asked as the control plane asks it. */
export class BenchHost {
  readonly stack: Stack;
  readonly #api: HostdClient;
  readonly ownerId = randomUUID();

  constructor(stack: Stack) {
    this.stack = stack;
    this.#api = new HostdClient(stack.layout.hostdSocket);
  }

  async health(): Promise<z.infer<typeof hostHealth>> {
    return hostHealth.parse(await this.#api.send("GET", "/healthz"));
  }

  /** Until the pool has `count` machines: a create must not wait for the one before it. */
  async ready(count: number): Promise<void> {
    while ((await this.health()).poolReadyCount < count) await delay(200);
  }

  /** Processes that wait for forks of what runs. */
  async forksReady(): Promise<number> {
    return (await this.health()).forksReadyCount;
  }

  /** Answers when the guest's agent has answered. */
  async create(overrides: Partial<CreateWorkspace> = {}, id: string = randomUUID()): Promise<string> {
    const { cpus, memoryMb, diskMb } = PLANS.free;
    const slug = `bench-${id.slice(0, 8)}`;
    await this.#api.send("PUT", `/v1/workspaces/${id}`, {
      ...{ ownerId: this.ownerId, slug, image: "base", cpus, memoryMb, diskMb },
      ...{ egress: "off", idlePauseSeconds: 604_800, ...overrides },
    });
    return id;
  }

  /** Of a workspace as it is; answers when others can begin from it. */
  async makeTemplate(workspaceId: string): Promise<string> {
    const [checkpointId, templateId] = [randomUUID(), randomUUID()];
    const { ownerId } = this;
    await this.#api.send("PUT", `/v1/workspaces/${workspaceId}/checkpoints/${checkpointId}`, {
      ...{ name: "Class", withMemory: false },
    });
    await this.#api.send("PUT", `/v1/templates/${templateId}`, { ownerId, workspaceId, checkpointId });
    for (;;) {
      const { state } = templateInfo.parse(await this.#api.send("GET", `/v1/templates/${templateId}`));
      if (state === "draft") return templateId;
      if (state !== "making") throw new Error(`the template is ${state}`);
      await delay(200);
    }
  }

  async status(id: string): Promise<WorkspaceStatus> {
    return workspaceStatus.parse(await this.#api.send("GET", `/v1/workspaces/${id}`));
  }

  /** Until nothing of it is in memory any more. */
  async pauseToDisk(id: string): Promise<void> {
    await this.pause(id);
    while ((await this.status(id)).pausedIn !== "disk") await delay(50);
  }

  /**
   * From the event stream: milliseconds between the machine's restore beginning and its agent being ready. Resolves when
   * the stream is there, so that opening it is not part of what is measured beside it.
   */
  async watchRestore(id: string): Promise<{ restoredMs: Promise<number> }> {
    const open = Promise.withResolvers<void>();
    let restoreAtMs: number | undefined;
    const restoredMs = this.#api.firstLine("/v1/events", open.resolve, (line) => {
      const parsed = workspaceStatus.safeParse(line);
      if (!parsed.success || parsed.data.workspaceId !== id) return undefined;
      const { stage, state, sinceMs } = parsed.data;
      if (stage?.name === "restore") restoreAtMs = stage.startedAtMs;
      return state !== "running" || restoreAtMs === undefined ? undefined : sinceMs - restoreAtMs;
    });
    await Promise.race([open.promise, restoredMs]);
    return { restoredMs };
  }

  /** Directory of the workspace's disk, snapshots and checkpoints. */
  async diskDirectory(id: string): Promise<string> {
    const { disk } = await this.#record(id);
    if (disk === null) throw new Error(`${id} has no disk`);
    return join(this.stack.layout.data, "workspaces", disk.diskId);
  }

  async pause(id: string): Promise<void> {
    await this.#api.send("POST", `/v1/workspaces/${id}/pause`, {});
  }

  async resume(id: string): Promise<void> {
    await this.#api.send("POST", `/v1/workspaces/${id}/resume`, {});
  }

  async stop(id: string): Promise<void> {
    await this.#api.send("POST", `/v1/workspaces/${id}/stop`, {});
  }

  async delete(id: string): Promise<void> {
    await this.#api.send("DELETE", `/v1/workspaces/${id}`);
  }

  async machinePid(id: string): Promise<number> {
    const { machine } = await this.#record(id);
    if (machine === null) throw new Error(`no machine of ${id}`);
    return machine.pid;
  }

  async #record(id: string): Promise<z.infer<typeof journalRecord>> {
    const path = join(this.stack.layout.data, "journal", "workspaces", `${id}.json`);
    return journalRecord.parse(JSON.parse(await readFile(path, "utf8")));
  }

  /** What the bare reference restores: the very template that creates come from. */
  async bareOptions(cacheDirectory: string): Promise<BareRestoreOptions> {
    const vmm = await readBuiltVmm(cacheDirectory);
    const images = await BuiltImages.open({ cacheDirectory, names: ["base"] });
    const { isolation } = await this.health();
    const image = await images.filesFor(isolation).byName("base");
    return { vmm, isolation, image, template: await this.#template(image.key) };
  }

  async #template(imageKey: string): Promise<Template> {
    const directory = join(this.stack.layout.data, "templates");
    for (const name of await readdir(directory)) {
      const template = await readTemplate(directory, name);
      if (template?.imageKey === imageKey && template.size.memoryMb === PLANS.free.memoryMb) return template;
    }
    throw new Error("the template of the first plan is not there");
  }
}
