/** At a schedule's end everything is repaired; then each workspace and template must be what its user was told. */
import { readdirSync } from "node:fs";
import type { CreateWorkspace } from "@atoll/protocol/hostd-api";
import { unwrapLayers, wipeLayers } from "../../disks/layer-keys.ts";
import { fits, type ModelCheckpoint, type ModelErasable, ModelWorkspace, short, show } from "../model.ts";
import { codeOf, createBody } from "../proof-host.ts";
import type { ProofStage } from "./proof-stage.ts";

/** A disposable workspace is gone this long after its deadline, at the latest. */
const DISPOSABLE_LATE_MS = 60_000;
/** An agent that stands still is noticed and given up in this time. */
const SETTLE_MS = 200_000;
const LOST = "memory is gone, as announced";
/** How many safety checkpoints a workspace keeps at least. */
const SAFETIES_KEPT = 5;
const ORIGIN_GONE = [
  ...["workspace.not_found", "workspace.deleted", "checkpoint.not_found", "workspace.not_running"],
  ...["key.not_found", "template.not_found", "template.not_ready"],
];

export class FinalLook {
  readonly #stage: ProofStage;

  constructor(stage: ProofStage) {
    this.#stage = stage;
  }

  async look(): Promise<void> {
    const { machines, world, life } = this.#stage;
    this.#stage.lift();
    // What stood still goes on.
    for (const machine of machines.machines.values()) if (machine.isSuspended) machine.suspend(false);
    await world.advance(life, SETTLE_MS);
    await this.#passDeadlines();
    await this.#lookAtAll();
    // The machines outlive hostd, and nothing is lost by its end.
    await this.#stage.open(undefined);
    await this.#lookAtAll();
    await this.#checkLeftovers();
    await this.#checkKeys();
    await this.#checkCheckpoints();
    await this.#checkTemplates();
    await this.#checkRepeats();
    machines.checkResumes();
    machines.checkIdentities();
  }

  /** Between bursts: what stood still was noticed, and every workspace is what its user was told. */
  async glance(looks: "told" | "whole"): Promise<void> {
    const { world, life, counts } = this.#stage;
    this.#stage.lift();
    await world.advance(life, SETTLE_MS);
    const lost = counts[LOST] ?? 0;
    await this.#lookAtAll();
    if (looks === "whole" && (counts[LOST] ?? 0) > lost)
      world.violation("memory is gone, and nothing had happened to it");
  }

  async #lookAtAll(): Promise<void> {
    for (const model of this.#stage.templates) if (model.erasure !== "none") await this.#lookAtErased(model);
    for (const model of this.#stage.workspaces) {
      if (this.#stage.isBroken) return;
      this.#checkExpiry(model);
      if (model.erasure !== "none") {
        await this.#lookAtErased(model);
        continue;
      }
      const workspace = this.#stage.running.registry.find(model.workspaceId);
      if (workspace === undefined) {
        if (model.isAcknowledged) this.#stage.world.violation(`${short(model.workspaceId)} is gone`);
        continue;
      }
      const isPromised = model.isAcknowledged || !model.isFork;
      // What it was to begin from may be gone by now; nobody was told that it would be there.
      const refused = isPromised ? [] : ORIGIN_GONE;
      const start = () => workspace.start("requested");
      if ((await this.#stage.ask(`start ${short(model.workspaceId)}`, start, refused)) === undefined)
        continue;
      await this.#readAll(model);
    }
  }

  /** I3, and what of its memory was promised. */
  async #readAll(model: ModelWorkspace): Promise<void> {
    const disk = await this.#read(model, "disk");
    const memory = await this.#read(model, "memory");
    if (disk === undefined || memory === undefined) return;
    this.#stage.count(fits(model.memory, memory) ? "memory goes on" : LOST);
    this.#stage.world.note(`memory is [${memory}], expected ${show(model.memory)}`);
    for (const wrong of [model.diskSeen(disk), model.memorySeen(memory)]) {
      if (wrong !== undefined) this.#stage.world.violation(wrong);
    }
  }

  async #read({ workspaceId }: ModelWorkspace, what: "disk" | "memory"): Promise<string[] | undefined> {
    const stage = this.#stage;
    await stage.linked(workspaceId);
    const answer = await stage.ask(`read the ${what} of ${short(workspaceId)}`, () =>
      stage.running.run(workspaceId, what),
    );
    return answer && (JSON.parse(answer.value) as string[]);
  }

  /** I25: nobody is up when disposables come to their end. */
  async #passDeadlines(): Promise<void> {
    const stage = this.#stage;
    const { clock } = stage.world;
    const due = stage.workspaces.flatMap(({ erasure, expiresAtMs }) =>
      erasure === "none" && expiresAtMs !== undefined && expiresAtMs > clock.nowMs ? [expiresAtMs] : [],
    );
    if (due.length === 0) return;
    stage.count("a deadline passed without a hostd");
    stage.life.die();
    while (clock.runNext(Math.max(...due)));
    await stage.open(undefined);
    await stage.world.advance(stage.life, DISPOSABLE_LATE_MS + 1);
  }

  /** I25 */
  #checkExpiry(model: ModelWorkspace): void {
    const { expiresAtMs, workspaceId } = model;
    const { clock } = this.#stage.world;
    if (expiresAtMs === undefined || clock.nowMs < expiresAtMs) return;
    const state = this.#stage.running.registry.find(workspaceId)?.record.state;
    const isLate = clock.nowMs > expiresAtMs + DISPOSABLE_LATE_MS;
    if (isLate && state !== undefined && state !== "erased") {
      this.#stage.world.violation(`I25: ${short(workspaceId)} is ${state} after its deadline`);
    }
    model.erasure = state === "erased" || state === undefined ? "done" : "asked";
  }

  /** An erasure that was asked for is finished by asking again, whatever came between. I9: nothing else is answered. */
  async #lookAtErased(model: ModelErasable): Promise<void> {
    const stage = this.#stage;
    const { registry, views } = stage.running;
    if (!(model instanceof ModelWorkspace)) {
      const again = await stage.ask("erase again", () => registry.templates.erase(model.id));
      if (again !== undefined) stage.erased(model, again.value);
      return;
    }
    const workspace = registry.find(model.id);
    const state = workspace?.record.state;
    if (model.erasure === "done" && state !== undefined && state !== "erased") {
      return stage.world.violation(`${short(model.id)} was erased and is ${state}`);
    }
    const again = await stage.ask("erase again", () => registry.erase(model.id));
    if (again === undefined) return;
    stage.erased(model, again.value);
    if (workspace !== undefined) {
      const gone = "workspace.deleted";
      await stage.askRefused("I9: a start after erasure", gone, () => workspace.start("requested"));
      await stage.askRefused("I9: a view after erasure", gone, async () => views.open(workspace, null));
      await stage.askRefused("I9: listing after erasure", gone, () => workspace.listCheckpoints());
    }
    const body = model.body ?? createBody({ ownerId: model.ownerId });
    const create = () => registry.create(model.id, body);
    await stage.askRefused("I9: the same id again", "workspace.deleted", create);
  }

  /** I5: whatever is on the host belongs to a record or waits to be someone's. */
  async #checkLeftovers(): Promise<void> {
    const stage = this.#stage;
    const { registry, source } = stage.running;
    const { world } = stage;
    await world.advance(stage.life, 10_000);
    const records = registry.list().map(({ record }) => record);
    const disks = new Set(
      records.flatMap(({ disk, state }) => (disk === null || state === "erased" ? [] : [disk.diskId])),
    );
    for (const diskId of registry.templates.diskIds) disks.add(diskId);
    const waiting = source.readyCount + source.readyForkCount;
    const strangers = stage.folders().filter((name) => !disks.has(name));
    if (strangers.length > waiting) {
      world.violation(`I5: ${strangers.length} disks are nobody's, ${waiting} machines wait`);
    }
    const named = new Set(records.flatMap(({ machine }) => (machine === null ? [] : [machine.machineId])));
    const machines = [...stage.machines.machines.values()].map(({ record }) => record.machineId);
    const unnamed = machines.filter((machineId) => !named.has(machineId));
    if (unnamed.length > waiting) {
      world.violation(`I5: machines ${unnamed} are nobody's, ${waiting} wait`);
    }
    const files = readdirSync(stage.directory, { recursive: true }).map(String);
    const temporary = files.filter((name) => /\.tmp$|\.baking-|scratch\//.test(name));
    if (temporary.length > 0) world.violation(`I5: left over: ${temporary}`);
  }

  /** I8, I9, I10: what was erased cannot be opened with anything that is left, what was not can. */
  async #checkKeys(): Promise<void> {
    const stage = this.#stage;
    const { world } = stage;
    const left: Uint8Array[] = [];
    for (const model of [...stage.workspaces, ...stage.templates]) {
      const { id, ownerId, erasure, isAcknowledged } = model;
      const key = await this.#keyOf(id, ownerId);
      if (typeof key !== "string") left.push(key);
      if (erasure === "done" && key !== "key.not_found") {
        world.violation(`I9: the key of ${short(id)} answers ${typeof key === "string" ? key : "a key"}`);
      }
      // A template that could not be made gave its key up.
      const isPromised = isAcknowledged && (model instanceof ModelWorkspace || this.#isReady(id));
      if (erasure === "none" && isPromised && typeof key === "string") {
        world.violation(`I10: the key of ${short(id)} is ${key}`);
      }
    }
    const erased = new Set(
      [...stage.workspaces, ...stage.templates]
        .filter(({ erasure }) => erasure === "done")
        .map(({ id }) => id),
    );
    const folders = new Set(stage.folders());
    for (const { of, diskId, layers } of stage.loot.filter((one) => erased.has(one.of))) {
      stage.count("stolen disks");
      if (folders.has(diskId)) world.violation(`I8: the disk of ${short(of)} is still there`);
      for (const key of left) {
        for (const layer of layers) {
          try {
            wipeLayers(unwrapLayers(key, diskId, [layer]));
            world.violation(`I8: a key that is left opens ${short(of)}`);
          } catch (error) {
            if (codeOf(error) !== "key.not_found") throw error;
          }
        }
      }
    }
  }

  async #keyOf(workspaceId: string, ownerId: string): Promise<Uint8Array | string> {
    const { life, world, running } = this.#stage;
    return life.run(async () => {
      const asked = running.keys.unwrapWorkspaceKey({ workspaceId, ownerId }).catch(codeOf);
      await world.until(life, asked);
      return asked;
    });
  }

  #isReady(templateId: string): boolean {
    const { templates } = this.#stage.running.registry;
    return templates.list().some((one) => one.templateId === templateId && one.state !== "failed");
  }

  /** Those that were promised are there, and each brings back what it froze. */
  async #checkCheckpoints(): Promise<void> {
    const stage = this.#stage;
    for (const model of stage.workspaces) {
      const workspace = stage.running.registry.find(model.workspaceId);
      if (workspace === undefined || model.erasure !== "none" || !model.isAcknowledged) continue;
      const listed = await stage.ask("list checkpoints", () => workspace.listCheckpoints());
      if (listed === undefined) return;
      const ids = new Set(listed.value.checkpoints.map(({ checkpointId }) => checkpointId));
      const promised = [...model.checkpoints.values(), ...model.safeties.slice(-SAFETIES_KEPT)];
      for (const { checkpointId, isAcknowledged, isDeleteAsked } of promised) {
        if (!isAcknowledged || isDeleteAsked || ids.has(checkpointId)) continue;
        stage.world.violation(`checkpoint ${short(checkpointId)} of ${short(model.workspaceId)} is gone`);
      }
      // Oldest last: each restore makes another safety checkpoint, and those beyond a few are thinned out.
      const last = model.safeties.slice(-1);
      for (const checkpoint of [...last, ...model.checkpoints.values()]) {
        if (stage.isBroken) return;
        if (ids.has(checkpoint.checkpointId)) await this.#checkCheckpoint(model, checkpoint);
      }
    }
  }

  async #checkCheckpoint(model: ModelWorkspace, checkpoint: ModelCheckpoint): Promise<void> {
    const stage = this.#stage;
    const { checkpointId } = checkpoint;
    const workspace = stage.running.registry.get(model.workspaceId);
    const wish = { checkpointId, safetyCheckpointId: stage.uuid() };
    const restore = () => workspace.restore(wish);
    if ((await stage.ask(`restore ${short(checkpointId)}`, restore)) === undefined) return;
    const { generation } = workspace.status;
    if ((await stage.ask("restore again", restore)) === undefined) return;
    if (workspace.status.generation !== generation) stage.world.violation("I6: a restore was done twice");
    model.contents = checkpoint.contents;
    model.isLossAnnounced = true;
    if ((await stage.ask("start", () => workspace.start("requested"))) === undefined) return;
    const disk = await this.#read(model, "disk");
    const wrong = disk && model.diskSeen(disk);
    if (wrong !== undefined) stage.world.violation(`restored ${short(checkpointId)}: ${wrong}`);
  }

  /** Each ended somehow; of those that can be begun from, somebody begins. */
  async #checkTemplates(): Promise<void> {
    const stage = this.#stage;
    const { templates } = stage.running.registry;
    for (const model of stage.templates) {
      if (stage.isBroken) return;
      const info = templates.list().find(({ templateId }) => templateId === model.id);
      if (model.erasure !== "none" || info === undefined) {
        if (model.erasure === "none" && model.isAcknowledged)
          stage.world.violation(`${short(model.id)} is gone`);
        continue;
      }
      if (info.state === "making") stage.world.violation(`template ${short(model.id)} is never finished`);
      if (info.state !== "draft" && info.state !== "published") continue;
      const heir = new ModelWorkspace(stage.uuid(), model.ownerId);
      heir.contents = model.contents;
      stage.workspaces.push(heir);
      const body: CreateWorkspace = createBody({
        ownerId: model.ownerId,
        origin: { kind: "template", templateId: model.id },
      });
      const begin = () => stage.running.registry.create(heir.id, body);
      if ((await stage.ask("begin from a template", begin)) === undefined) return;
      heir.isAcknowledged = true;
      heir.body = body;
      stage.count("a template was begun from at the end");
      await this.#readAll(heir);
    }
  }

  /** I6: doing it again changes nothing. */
  async #checkRepeats(): Promise<void> {
    const stage = this.#stage;
    for (const model of stage.workspaces) {
      const { registry } = stage.running;
      const workspace = registry.find(model.workspaceId);
      if (workspace === undefined || model.erasure !== "none" || stage.isBroken) continue;
      // A fork that nobody was promised and that could not begin.
      if (model.isFork && !model.isAcknowledged && workspace.status.state !== "running") continue;
      const checkpointId = stage.uuid();
      const { body } = model;
      const repeated: [string, () => Promise<unknown>][] = [
        ["pause", () => workspace.pause("requested")],
        ["start", () => workspace.start("requested")],
        ["checkpoint", () => workspace.checkpoint(checkpointId, { name: "twice", withMemory: true })],
        ["create", async () => model.isAcknowledged && body && (await registry.create(model.id, body))],
        ["delete the checkpoint", () => workspace.deleteCheckpoint(checkpointId)],
        ["stop", () => workspace.stop("requested")],
      ];
      for (const [name, work] of repeated) {
        if ((await stage.ask(`${name} once`, work)) === undefined) return;
        const { state, generation } = workspace.status;
        if ((await stage.ask(`${name} twice`, work)) === undefined) return;
        if (workspace.status.state !== state || workspace.status.generation !== generation) {
          stage.world.violation(
            `I6: ${name} twice: ${state} ${generation} became ${workspace.status.state} by repeating`,
          );
        }
      }
    }
  }
}
