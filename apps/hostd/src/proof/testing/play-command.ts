/** One command of a schedule: asked of hostd, and told to the model before and after. */
import { closeSync, openSync, readdirSync, readSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { SAFETY_NAME } from "../../workspaces/restore-workspace.ts";
import type { Command } from "../commands.ts";
import { fits, type ModelCheckpoint, ModelTemplate, ModelWorkspace, short, show } from "../model.ts";
import { createBody, type ProofHost } from "../proof-host.ts";
import { SCRUBBED } from "../world/serve-files.ts";
import type { Life } from "../world/sim-world.ts";
import type { ProofStage } from "./proof-stage.ts";

const DISPOSABLE_MS = 3_600_000;
const WORKSPACES_MAX = 6;
const TEMPLATES_MAX = 3;
const HOURS_MS = 5 * 3_600_000;
const GUESTS = { well: {}, withoutEntropy: { isReseeded: false }, hoursOff: { clockOffsetMs: HOURS_MS } };

/** @param host of `life`: a stale one goes on with its own when it wakes up */
export async function playCommand(
  stage: ProofStage,
  life: Life,
  host: ProofHost,
  command: Command,
): Promise<void> {
  const { registry } = host;
  const { world, machines, directory } = stage;
  switch (command.kind) {
    case "create":
      return create(stage, host, command);
    case "eraseOwner": {
      const ownerId = stage.ownerAt(command.owner);
      stage.erasedOwners.add(ownerId);
      const owned = [...stage.workspaces, ...stage.templates].filter((model) => model.ownerId === ownerId);
      for (const model of owned) {
        if (model.erasure === "none") model.erasure = "asked";
        stage.steal(model.id, diskOf(host, model.id) ?? stage.templateRecord(model.id)?.disk?.diskId);
      }
      const { erasures } = await registry.eraseOwner(ownerId);
      // One that was only being asked for may have come to nothing, or be erased as it comes.
      for (const model of owned) if (model.isAcknowledged) stage.erased(model, erasures);
      return;
    }
    case "advance":
      // A time that passes while other commands run: a timer of the life, not of the harness.
      return new Promise((resolve) => void world.clock.schedule(command.seconds * 1000, resolve));
    case "diskFull":
      world.faults.diskFull = command.isOn;
      return;
    case "diskBroken":
      world.faults.brokenPaths = command.isOn ? [join(directory, "workspaces")] : [];
      return;
    case "keysDown":
      world.faults.brokenPaths = command.isOn ? [join(directory, "keys")] : [];
      return;
    case "guests":
      return machines.setGuestAnswer(GUESTS[command.are]);
    case "upgrade":
      machines.vmmVersion += 1;
      return;
    case "forkTemplate":
    case "publish":
    case "eraseTemplate":
      return playTemplate(stage, host, command);
    default:
  }
  const model = stage.workspaces[command.at % Math.max(1, stage.workspaces.length)];
  if (model === undefined) return;
  const { workspaceId } = model;
  if (command.kind === "erase") {
    if (model.erasure === "none") model.erasure = "asked";
    stage.steal(workspaceId, diskOf(host, workspaceId));
    return stage.erased(model, await registry.erase(workspaceId));
  }
  const workspace = registry.get(workspaceId);
  const since = model.restoreCount;
  const machine = stage.machineOf(host, workspaceId);
  switch (command.kind) {
    case "write": {
      const word = stage.newWord("w");
      model.wordAsked(word);
      await host.run(workspaceId, "write", word);
      if (!life.isDead) model.wordSaved(word, since);
      return;
    }
    case "remember": {
      const word = stage.newWord("m");
      model.memoryAsked(word);
      await host.run(workspaceId, "remember", word);
      if (!life.isDead) model.memoryTaken(word, since);
      return;
    }
    case "checkpoint":
      return checkpoint(stage, host, model, command.withMemory);
    case "restore": {
      const target = pick(model.checkpoints, command.checkpoint);
      return target === undefined ? undefined : restore(stage, host, { life, model, target });
    }
    case "restoreFile": {
      const target = pick(model.checkpoints, command.checkpoint);
      return target === undefined
        ? undefined
        : restoreFile(stage, host, { life, model, target }, command.file);
    }
    case "deleteCheckpoint": {
      const target = pick(model.checkpoints, command.checkpoint);
      if (target === undefined) return;
      target.isDeleteAsked = true;
      return host.deleteCheckpoint(workspaceId, target.checkpointId);
    }
    case "view":
      return view(stage, host, { life, model }, command.checkpoint);
    case "makeTemplate":
      return makeTemplate(stage, host, model, command.checkpoint);
    case "fork":
      return fork(stage, host, model, command);
    case "keepAwake":
      return workspace.keepAwake(command.count * 3600);
    case "look":
      // Beside other commands the answer cannot be judged; that it comes can.
      return void (await host.run(workspaceId, "disk"));
    case "pause":
      return workspace.pause("requested");
    case "start":
      return workspace.start("requested");
    case "stop":
      // Stopping gives memory up.
      model.isLossAnnounced = true;
      return workspace.stop("requested");
    case "sessions":
      return workspace.setSessionCount(command.count);
    case "kill":
      return machine?.end({ reason: "killed", detail: "by the proof" });
    case "halt":
      if (machine?.isRunning !== true || machine.isSuspended) return;
      return machine.end({
        reason: command.isReset ? "guest_reset" : "guest_halted",
        detail: command.isReset ? "guest-reset" : "guest-shutdown",
      });
    case "agent":
      if (machine === undefined) return;
      if (command.isRestart) machine.restartAgent();
      else machine.guest.isSilent = true;
      return;
    case "suspend":
    case "thaw":
      return machine?.suspend(command.kind === "suspend");
    case "damage":
      return damage(stage, diskOf(host, workspaceId));
  }
}

async function create(
  stage: ProofStage,
  host: ProofHost,
  { owner, isDisposable }: Extract<Command, { kind: "create" }>,
): Promise<void> {
  const model = newWorkspace(stage, owner);
  if (model === undefined) return;
  if (isDisposable) model.expiresAtMs = stage.world.clock.nowMs + DISPOSABLE_MS;
  const { expiresAtMs, ownerId } = model;
  model.body = createBody({ ownerId, ...(expiresAtMs === undefined ? {} : { expiresAtMs }) });
  await host.registry.create(model.workspaceId, model.body);
  acknowledge(host, model);
}

function newWorkspace(stage: ProofStage, owner: number): ModelWorkspace | undefined {
  if (stage.workspaces.length >= WORKSPACES_MAX) return undefined;
  const ownerId = stage.ownerAt(owner);
  const model = new ModelWorkspace(stage.uuid(), ownerId);
  if (stage.erasedOwners.has(ownerId)) model.erasure = "asked";
  stage.workspaces.push(model);
  return model;
}

function acknowledge({ registry }: ProofHost, model: ModelWorkspace): void {
  model.isAcknowledged = true;
  model.keyCommitment = registry.find(model.workspaceId)?.record.keyCommitment ?? undefined;
}

async function checkpoint(
  stage: ProofStage,
  { registry }: ProofHost,
  model: ModelWorkspace,
  withMemory: boolean,
): Promise<void> {
  const { kept, end } = begunCheckpoint(stage, model);
  model.checkpoints.set(kept.checkpointId, kept);
  const workspace = registry.get(model.workspaceId);
  const info = await workspace.checkpoint(kept.checkpointId, { name: "proof", withMemory });
  kept.hasMemory = info.hasMemory;
  kept.isAcknowledged = true;
  end();
}

function begunCheckpoint(
  stage: ProofStage,
  model: ModelWorkspace,
): { kept: ModelCheckpoint; end: () => void } {
  const { capture, end } = model.capture();
  stage.atBurstEnd.push(end);
  const facts = {
    checkpointId: stage.uuid(),
    hasMemory: false,
    isAcknowledged: false,
    isDeleteAsked: false,
  };
  return { kept: Object.assign(capture, facts), end };
}

interface About {
  life: Life;
  model: ModelWorkspace;
  target: ModelCheckpoint;
}

async function restore(
  stage: ProofStage,
  { registry }: ProofHost,
  { life, model, target }: About,
): Promise<void> {
  const first = stage.words;
  const { kept: safety } = begunCheckpoint(stage, model);
  model.safeties.push(safety);
  model.restoreBegun(target, safety);
  let isDone = false;
  const settle = (isCertain: boolean) => {
    if (isDone) return;
    isDone = true;
    const isAlone = model.restoresInFlight === 1;
    model.restoreEnded(isCertain && isAlone ? target : undefined, stage.filesSince(first));
  };
  // If hostd ends before it answers.
  stage.atBurstEnd.push(() => settle(false));
  try {
    const { checkpointId } = target;
    const safetyCheckpointId = safety.checkpointId;
    await registry.get(model.workspaceId).restore({ checkpointId, safetyCheckpointId });
    safety.isAcknowledged = true;
    if (!life.isDead) settle(model.restoresInFlight === 1);
  } catch (error) {
    settle(false);
    throw error;
  }
}

/** One file of a checkpoint, over what is there. */
async function restoreFile(
  stage: ProofStage,
  host: ProofHost,
  { life, model, target }: About,
  file: number,
): Promise<void> {
  const words = [...new Set(target.contents.flatMap(({ may }) => [...may]))];
  const word = words[file % Math.max(1, words.length)];
  const { registry } = host;
  if (word === undefined || registry.get(model.workspaceId).guest === undefined) return;
  const since = model.restoreCount;
  const { kept: safety } = begunCheckpoint(stage, model);
  model.safeties.push(safety);
  const facts = { name: SAFETY_NAME, kind: "safety", withMemory: false } as const;
  await registry.get(model.workspaceId).checkpoint(safety.checkpointId, facts);
  safety.isAcknowledged = true;
  model.wordAsked(word);
  await host.restoreFile(model.workspaceId, target.checkpointId, word);
  stage.count("a file was restored");
  const isSure = target.contents.every(({ must }) => must.has(word));
  if (!life.isDead && isSure) model.wordSaved(word, since);
}

/** It shows what the checkpoint froze, or for the present some state between being asked and having answered. */
async function view(
  stage: ProofStage,
  host: ProofHost,
  { life, model }: Omit<About, "target">,
  checkpoint: number | null,
): Promise<void> {
  const target = checkpoint === null ? undefined : pick(model.checkpoints, checkpoint);
  const { capture, end } = model.capture();
  stage.atBurstEnd.push(end);
  const words = await host.look(model.workspaceId, target?.checkpointId ?? null);
  stage.count(target === undefined ? "saw the present" : "saw a checkpoint");
  const { contents } = target ?? capture;
  end();
  if (life.isDead || contents.some((content) => fits(content, words))) return;
  stage.world.violation(
    `a view of ${short(model.workspaceId)} shows [${words}], expected ${contents.map(show).join(" or ")}`,
  );
}

async function fork(
  stage: ProofStage,
  host: ProofHost,
  source: ModelWorkspace,
  command: Extract<Command, { kind: "fork" }>,
): Promise<void> {
  const model = newWorkspace(stage, command.owner);
  if (model === undefined) return;
  model.isFork = true;
  const target = command.checkpoint === null ? undefined : pick(source.checkpoints, command.checkpoint);
  // One that was not answered may begin at any later start.
  const begun = source.forkedBy(model, target);
  const { workspaceId } = source;
  const origin =
    target === undefined
      ? { kind: "workspace" as const, workspaceId }
      : { kind: "checkpoint" as const, workspaceId, checkpointId: target.checkpointId };
  model.body = createBody({ ownerId: model.ownerId, origin });
  await host.registry.create(model.workspaceId, model.body);
  acknowledge(host, model);
  begun();
}

async function makeTemplate(
  stage: ProofStage,
  { registry }: ProofHost,
  source: ModelWorkspace,
  checkpoint: number,
): Promise<void> {
  const target = pick(source.checkpoints, checkpoint);
  if (target === undefined || stage.templates.length >= TEMPLATES_MAX) return;
  const { workspaceId, ownerId } = source;
  const model = new ModelTemplate(stage.uuid(), ownerId, target, SCRUBBED);
  if (stage.erasedOwners.has(ownerId)) model.erasure = "asked";
  stage.templates.push(model);
  await registry.templates.create(model.id, { ownerId, workspaceId, checkpointId: target.checkpointId });
  model.isAcknowledged = true;
  await registry.templates.settled(model.id);
  if (model.erasure !== "none") return;
  model.keyCommitment = stage.templateRecord(model.id)?.keyCommitment ?? undefined;
  stage.count(`a template became ${registry.templates.get(model.id).state}`);
}

async function playTemplate(
  stage: ProofStage,
  host: ProofHost,
  command: Extract<Command, { template: number }>,
): Promise<void> {
  const template = stage.templates[command.template % Math.max(1, stage.templates.length)];
  if (template === undefined) return;
  const { templates } = host.registry;
  switch (command.kind) {
    case "publish":
      template.isPublished = true;
      await templates.publish(template.id);
      return;
    case "eraseTemplate":
      if (template.erasure === "none") template.erasure = "asked";
      stage.steal(template.id, stage.templateRecord(template.id)?.disk?.diskId);
      return stage.erased(template, await templates.erase(template.id));
    case "forkTemplate": {
      const model = newWorkspace(stage, command.owner);
      if (model === undefined) return;
      model.isFork = true;
      model.contents = template.contents;
      const origin = { kind: "template" as const, templateId: template.id };
      model.body = createBody({ ownerId: model.ownerId, origin });
      await host.registry.create(model.workspaceId, model.body);
      acknowledge(host, model);
      stage.count("began from a template");
      if (!template.isPublished && template.ownerId !== model.ownerId) {
        stage.world.violation(`a draft of ${short(template.id)} was given to another owner`);
      }
      return;
    }
  }
}

/** One byte of the sealed memory turns. */
function damage(stage: ProofStage, diskId: string | undefined): void {
  if (diskId === undefined) return;
  const folder = join(stage.directory, "workspaces", diskId, "snapshots");
  for (const name of statSync(folder, { throwIfNoEntry: false }) ? readdirSync(folder) : []) {
    if (!name.endsWith(".sealed")) continue;
    const file = openSync(join(folder, name), "r+");
    const byte = Buffer.alloc(1);
    const { size } = statSync(join(folder, name));
    if (size > 0) {
      const position = stage.world.random.below(size);
      readSync(file, byte, 0, 1, position);
      byte[0] = (byte[0] ?? 0) ^ 1;
      writeSync(file, byte, 0, 1, position);
    }
    closeSync(file);
  }
}

function diskOf({ registry }: ProofHost, workspaceId: string): string | undefined {
  return registry.find(workspaceId)?.record.disk?.diskId;
}

function pick<T>(map: ReadonlyMap<string, T>, index: number): T | undefined {
  return [...map.values()][index % Math.max(1, map.size)];
}
