import { AtollError, toAtollError } from "@atoll/protocol/atoll-error";
import type { StartStage, StateReason } from "@atoll/protocol/workspace-status";
import type { Machine } from "../hypervisor/hypervisor.ts";
import type { CreatedMachine, MachineRequest } from "../machines/machine-source.ts";
import { unarchiveDisk } from "./archive-workspace.ts";
import { type BringUp, bringUp, type Handshake } from "./bring-up.ts";
import { memoryStepTimeoutMs } from "./seal-workspace.ts";
import { StartProgress } from "./start-progress.ts";
import type { WorkspaceCore } from "./workspace-core.ts";

/** The first machine of a new size waits for its template to be baked, minutes on an emulated host. */
const CREATE_TIMEOUT_MS = 900_000;
const BOOT_TIMEOUT_MS = 120_000;
const VIEWS_TIMEOUT_MS = 60_000;

/** Where a start begins: a machine that stands still, nothing, an origin, a checkpoint's memory, a snapshot, the disk. */
type Beginning = "memory" | "create" | "fork" | "checkpoint" | "snapshot" | "disk";

interface Start {
  core: WorkspaceCore;
  progress: StartProgress;
  reason: StateReason;
  /** A try before this one was noted: what key it left is of nothing. */
  isRepeated: boolean;
  signal: AbortSignal;
}

/**
 * Brings a workspace that does not run to `running`. Memory that cannot be used leads to a boot from the disk, which
 * the status says.
 */
export async function startWorkspace(
  core: WorkspaceCore,
  options: { reason: StateReason; signal: AbortSignal; isOfRestore?: boolean },
): Promise<void> {
  const { reason, signal, isOfRestore = false } = options;
  const { clock, timings, logger } = core.dependencies;
  const { workspaceId, generation } = core.record;
  await dropIfSealed(core);
  // Its process is gone without a word.
  if (core.machine === undefined && core.record.pausedIn === "memory") {
    await core.transition("memory_gone", "vm_exited", {
      machine: null,
      lostMemory: { code: "vm.gone", atMs: clock.now() },
    });
  }
  const from = core.record.state;
  const beginning = beginningOf(core);
  const path: StartStage["path"] = PATHS[beginning];
  const progress = new StartProgress({ path, timings, clock, onChange: (stage) => core.setStage(stage) });
  const start: Start = { core, progress, reason, isRepeated: from !== "creating", signal };
  try {
    if (from === "creating") progress.enter("reserve");
    await admit(core, beginning);
  } catch (error) {
    // Only a first create changes state by being refused; a paused workspace stays as it is.
    if (from === "creating") await failStart(core, error);
    throw error;
  }
  try {
    if (from !== "creating") {
      const isFirst = beginning === "create" || beginning === "fork";
      await core.transition(isFirst ? "create_begun" : "resume_begun", reason, {
        generation: generation + 1,
        errorCode: null,
        // What is done from now on is not undone by a restore that never came to its end.
        ...(isOfRestore ? {} : { operation: null }),
        // Its machine is named already: from here on a crash leaves it to be started, not ended.
        handshake: beginning === "memory" ? resumed(core) : null,
      });
      progress.enter("reserve");
    }
    progress.enter("restore");
    await core.step("end views", () => core.dependencies.endCurrentViews(workspaceId), {
      timeoutMs: VIEWS_TIMEOUT_MS,
      signal,
    });
    if (core.record.isArchived) await unarchiveDisk(core, signal);
    let lostBy: AtollError | undefined;
    try {
      await begin(start, beginning);
    } catch (cause) {
      const error = toAtollError(cause);
      const hadMemory = beginning === "memory" || beginning === "snapshot" || beginning === "checkpoint";
      if (!hadMemory || signal.aborted || isRefusal(error)) throw error;
      logger.warn({ workspaceId, code: error.code, err: error }, "memory not usable, booting");
      lostBy = error;
      await core.endMachine(new AtollError("workspace.failed"));
      await admit(core, "disk");
      const lostMemory = { code: error.code, atMs: clock.now() };
      await core.update({ snapshot: null, restoredFrom: null, machine: null, handshake: null, lostMemory });
      progress.fallBackToBoot();
      await begin(start, "disk");
    }
    progress.enter("ready");
    await core.transition("agent_ready", lostBy === undefined ? reason : "snapshot_unusable", {
      startedBy: lostBy === undefined ? path : "boot",
      handshake: null,
      errorCode: null,
      operation: null,
    });
    progress.finish();
    core.setStage(undefined);
    core.releaseSpace();
    core.idle.arm();
    if (core.record.lostMemory !== null) core.notice("workspace.memory_lost");
  } catch (error) {
    await core.endMachine(new AtollError("workspace.failed")).catch((cause: unknown) => {
      logger.error({ workspaceId, err: cause }, "a machine that did not start does not end");
    });
    await failStart(core, error, from);
    throw error;
  }
}

const PATHS: Record<Beginning, StartStage["path"]> = {
  memory: "resume",
  create: "create",
  fork: "fork",
  checkpoint: "resume",
  snapshot: "resume",
  disk: "boot",
};

function beginningOf({ machine, record }: WorkspaceCore): Beginning {
  if (machine !== undefined) return "memory";
  if (record.disk === null) return record.origin === null ? "create" : "fork";
  if (record.restoredFrom !== null) return "checkpoint";
  return record.snapshot === null ? "disk" : "snapshot";
}

/**
 * A sealing that was cut off, or answered nothing, may have been committed all the same. Then the snapshot is what
 * counts: with the machine going on, the disk would leave it behind unnoticed.
 */
async function dropIfSealed(core: WorkspaceCore): Promise<void> {
  if (core.machine === undefined || !core.mayBeSealed) return;
  const { reason, workspaceId } = core.record;
  const snapshot = await core.dependencies.source.findSnapshot(workspaceId, core.disk);
  if (snapshot === undefined) return;
  try {
    await core.endMachine(new AtollError("workspace.not_running"));
  } finally {
    await core.transition("sealed", reason, { pausedIn: "disk", sealsAtMs: null, snapshot, machine: null });
  }
}

async function admit({ dependencies, record }: WorkspaceCore, beginning: Beginning): Promise<void> {
  const { workspaceId, size } = record;
  // Its memory was counted all along.
  if (beginning === "memory") return dependencies.admission.hold(workspaceId, size.memoryMb);
  await dependencies.admission.reserve(workspaceId, size.memoryMb);
}

async function begin(start: Start, beginning: Beginning): Promise<void> {
  const { core, progress, signal } = start;
  const { source, startTurns } = core.dependencies;
  const { snapshot, restoredFrom } = core.record;
  const up = async (options: Pick<BringUp, "machine" | "handshake" | "patch">) => {
    // Until its turn comes nobody else knows of the machine.
    let isKnown = false;
    const work = () => {
      isKnown = true;
      return bringUp(core, { ...options, progress, signal });
    };
    // A machine that only stood still is back in milliseconds; one that boots would keep others waiting for too long.
    if (beginning === "memory" || options.handshake.reason === "boot") return work();
    try {
      return await startTurns.run(core.record.ownerId, signal, work);
    } catch (error) {
      if (!isKnown) await core.kill(options.machine);
      throw error;
    }
  };
  const launch = <T extends { machine: Machine }>(
    name: string,
    timeoutMs: number,
    work: (bounded: AbortSignal) => Promise<T>,
    onLate: (late: T) => unknown = ({ machine }) => machine.kill(),
  ): Promise<T> => core.step(name, work, { timeoutMs, signal, onLate });
  const memoryMs = memoryStepTimeoutMs(core);
  switch (beginning) {
    case "memory": {
      const { machine } = core;
      if (machine === undefined) throw new AtollError("vm.gone");
      return up({ machine, handshake: resumed(core), patch: {} });
    }
    case "create":
    case "fork": {
      const create = (bounded: AbortSignal): Promise<CreatedMachine> => {
        const request = { ...core.request(bounded), mayReplaceKey: start.isRepeated };
        return beginning === "create" ? source.create(request) : fork(core, request, bounded);
      };
      const created = await launch(beginning, CREATE_TIMEOUT_MS, create, (late) => source.discard(late));
      const { machine, disk, keyCommitment, startsBy } = created;
      const reason = startsBy === "boot" ? "boot" : "create";
      const handshake = { reason, expectedToken: created.linkToken } as const;
      try {
        return await up({ machine, handshake, patch: { disk, keyCommitment } });
      } catch (error) {
        if (core.record.disk === null) await abandon(core, created);
        throw error;
      }
    }
    case "checkpoint": {
      if (restoredFrom === null) throw new AtollError("checkpoint.not_found");
      const resumed = await launch("resume checkpoint", memoryMs, (bounded) =>
        source.resumeCheckpoint(core.request(bounded), core.disk, restoredFrom),
      );
      const { machine, disk } = resumed;
      // Its memory starts more than once: each start is a new one to the guest, with entropy and identity anew.
      const handshake = { reason: "create", expectedToken: resumed.linkToken } as const;
      return up({ machine, handshake, patch: { disk, snapshot: null, restoredFrom: null } });
    }
    case "snapshot": {
      if (snapshot === null) throw new AtollError("snapshot.invalid", "there is no snapshot");
      const { machine, disk } = await launch("resume", memoryMs, (bounded) =>
        source.resume(core.request(bounded), core.disk, snapshot),
      );
      return up({ machine, handshake: resumed(core), patch: { disk, snapshot: null } });
    }
    case "disk": {
      const booted = await launch("boot", BOOT_TIMEOUT_MS, (bounded) =>
        source.boot(core.request(bounded), core.disk),
      );
      const { machine, disk } = booted;
      const handshake = { reason: "boot", expectedToken: booted.linkToken } as const;
      return up({ machine, handshake, patch: { disk, snapshot: null, restoredFrom: null } });
    }
  }
}

/** What a create made and could not note: nobody else knows of it. */
async function abandon(core: WorkspaceCore, created: CreatedMachine): Promise<void> {
  try {
    await core.endMachine(new AtollError("workspace.failed"));
    // A write that failed may have been done: whatever the journal says from here on, it is not this disk.
    await core.update({});
    await core.dependencies.source.discard(created);
  } catch (error) {
    const { workspaceId } = core.record;
    core.dependencies.logger.error({ workspaceId, err: error }, "left until hostd starts again");
  }
}

/** Its memory knows the workspace's own token. */
function resumed({ record }: WorkspaceCore): Handshake {
  return { reason: "resume", expectedToken: record.linkToken };
}

async function fork(core: WorkspaceCore, request: MachineRequest, signal: AbortSignal) {
  const { openOrigin, prepareOrigin, source, forkTurns } = core.dependencies;
  await using prepared = prepareOrigin(core.record, request);
  await using point = await openOrigin(core.record, signal);
  const begin = () => source.createFrom(request, point, prepared);
  return await forkTurns.run(core.record.ownerId, signal, begin);
}

/** The host's trouble, not the memory's nor the disk's: trying again later may well succeed. */
function isRefusal(error: AtollError): boolean {
  return /^(host|key|template|image)\./.test(error.code) || error.code === "workspace.busy";
}

async function failStart(core: WorkspaceCore, cause: unknown, from?: string): Promise<void> {
  const error = toAtollError(cause);
  core.setStage(undefined);
  core.dependencies.admission.release(core.record.workspaceId);
  const { workspaceId, state, snapshot, isArchived } = core.record;
  core.dependencies.logger.error({ workspaceId, code: error.code, err: error }, "start failed");
  // A begin that could not be journalled left the state as it was.
  if (state !== "creating" && state !== "resuming") return;
  const patch = { errorCode: error.code, machine: null, handshake: null };
  if (state === "creating" || from === "failed" || !isRefusal(error)) {
    return core.transition("start_failed", "start_failed", patch);
  }
  // It is where it was, and says why it did not start.
  if (snapshot !== null)
    return core.transition("found_paused", "start_failed", { ...patch, pausedIn: "disk" });
  return core.transition(isArchived ? "found_archived" : "found_stopped", "start_failed", patch);
}
