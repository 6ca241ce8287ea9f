import { AtollError, toAtollError } from "@atoll/protocol/atoll-error";
import type { WorkspaceState } from "@atoll/protocol/workspace-status";
import type { Machine } from "../hypervisor/hypervisor.ts";
import { BOOTED_ANSWER_MS, bringUp, RESTORED_ANSWER_MS } from "./bring-up.ts";
import { eraseWorkspace } from "./erase-workspace.ts";
import { MONITOR_TIMEOUT_MS, startMachine } from "./quiesce-guest.ts";
import { finishRestore } from "./restore-workspace.ts";
import { dropMemory } from "./stop-workspace.ts";
import type { WorkspaceCore } from "./workspace-core.ts";

/** For one of the two tokens that an agent cut off in its handshake may wait for; then the other has its turn. */
const FINISH_START_MS = 20_000;

/** Its vCPUs may have run since a restore ended the machine before: what that restore is left over from is done. */
const RUNS: ReadonlySet<WorkspaceState> = new Set(["creating", "running", "pausing"]);

/** What is left to do with a guest's help, or otherwise takes its time: nothing else waits for it. */
export type Rest = (signal: AbortSignal) => Promise<void>;

/**
 * Makes the record true again after hostd was killed at any point: a machine that lives is taken back, a step that was
 * under way is finished or undone, and what is gone is said to be. Quick; the slow part is returned.
 */
export async function recoverWorkspace(core: WorkspaceCore): Promise<Rest | undefined> {
  const { record, dependencies } = core;
  if (record.state === "erased") return undefined;
  try {
    const machine = await findMachine(core);
    if (record.tombstone === null) return await recoverWith(core, machine);
    await eraseWorkspace(core);
    return undefined;
  } catch (cause) {
    if (record.tombstone !== null) throw cause;
    const error = toAtollError(cause);
    const { workspaceId } = record;
    dependencies.logger.error({ workspaceId, code: error.code, err: error }, "recovery failed");
    return giveUp(core, error);
  }
}

/** In every case it ends in a state that a start can leave. What was not taken over is ended by the sweep. */
async function giveUp(core: WorkspaceCore, error: AtollError): Promise<undefined> {
  const { state } = core.record;
  // What nobody took over goes with the sweep, unless its memory was sealed already.
  if (core.record.pausedIn === "memory" && core.machine === undefined) {
    return recoverPaused(core, undefined).catch(() => foundStopped(core, error.code));
  }
  // Paused ones keep their machine: whatever looked wrong is looked at again when they start.
  if (["paused", "stopped", "archived", "failed"].includes(state)) return undefined;
  await core.endMachine(error).catch(() => {});
  const lostMemory = { code: error.code, atMs: core.dependencies.clock.now() };
  const patch = { machine: null, handshake: null, errorCode: error.code, lostMemory };
  await core.transition("start_failed", "host_restarted", patch);
  return undefined;
}

/** Its end is this workspace's business from here on. */
async function findMachine(core: WorkspaceCore): Promise<Machine | undefined> {
  const { record } = core;
  if (record.machine === null) return undefined;
  const { hypervisor, admission, logger } = core.dependencies;
  const known = record.machine;
  const machine = await core.step("adopt", () => hypervisor.adopt(known), {
    timeoutMs: MONITOR_TIMEOUT_MS,
    signal: new AbortController().signal,
    onLate: (late) => late?.kill(),
  });
  if (machine === undefined) return undefined;
  const { workspaceId, state } = record;
  admission.hold(workspaceId, record.size.memoryMb);
  core.attach(machine);
  logger.info({ workspaceId, pid: machine.record.pid, state }, "machine found");
  return machine;
}

async function recoverWith(core: WorkspaceCore, machine: Machine | undefined): Promise<Rest | undefined> {
  const { record } = core;
  const { clock } = core.dependencies;
  const { operation } = record;
  if (operation !== null) {
    if (operation.isReplacing && !RUNS.has(record.state)) {
      if (record.state === "resuming" && machine !== undefined) return finishStart(core, machine);
      await end(core, machine);
      await standBeforeRestore(core);
      return (signal) => finishRestore(core, operation, signal);
    }
    await core.update({ operation: null });
  }
  switch (record.state) {
    case "stopped":
      await end(core, machine);
      return (signal) => dropMemory(core, signal);
    case "archived":
    case "failed":
      await end(core, machine);
      return undefined;
    case "paused":
      return recoverPaused(core, machine);
    case "running":
    case "pausing":
      return recoverRunning(core, machine);
    case "creating":
    case "resuming":
      if (machine !== undefined && record.handshake !== null) return finishStart(core, machine);
      await end(core, machine);
      return startUndone(core);
    case "stopping":
      await end(core, machine);
      return foundStopped(core);
    case "deleting":
      throw new TypeError(`deleting without a tombstone since ${clock.now()}`);
  }
}

/** Its machine was ended for the restore, or by the end of the host in the start behind it. */
async function standBeforeRestore(core: WorkspaceCore): Promise<void> {
  const { state, pausedIn, handshake, lostMemory } = core.record;
  const hadMemory = state === "resuming" ? handshake !== null && handshake.reason !== "boot" : true;
  // With its memory on the disk, or none, it stays what it is until the disk is put back.
  if (["stopped", "archived", "failed"].includes(state) || pausedIn === "disk") return;
  await core.transition(state === "resuming" ? "found_stopped" : "stopped", "restored", {
    machine: null,
    handshake: null,
    snapshot: null,
    // Unless the restore succeeds, which is what its owner wants instead.
    lostMemory: hadMemory ? { code: "vm.gone", atMs: core.dependencies.clock.now() } : lostMemory,
  });
}

async function recoverPaused(core: WorkspaceCore, machine: Machine | undefined): Promise<undefined> {
  const { record } = core;
  if (record.pausedIn === "disk") return end(core, machine);
  core.closeLink(new AtollError("workspace.not_running"));
  core.mayBeSealed = true;
  // Killed between the commit of a sealing and its note here: with the machine going on, the snapshot would be stale.
  const snapshot = await core.dependencies.source.findSnapshot(record.workspaceId, core.disk);
  if (snapshot !== undefined) {
    await end(core, machine);
    const patch = { pausedIn: "disk", sealsAtMs: null, snapshot, machine: null } as const;
    return core.transition("sealed", record.reason, patch) as Promise<undefined>;
  }
  if (machine === undefined) return foundStopped(core, "vm.gone");
  return undefined;
}

async function recoverRunning(core: WorkspaceCore, machine: Machine | undefined): Promise<undefined> {
  const { record, dependencies } = core;
  // Format 1 sealed while it was pausing.
  const snapshot =
    record.state === "pausing" && record.disk !== null
      ? await dependencies.source.findSnapshot(record.workspaceId, record.disk)
      : undefined;
  if (snapshot !== undefined) {
    await end(core, machine);
    return core.transition("found_paused", "host_restarted", {
      pausedIn: "disk",
      machine: null,
      snapshot,
    }) as Promise<undefined>;
  }
  if (machine === undefined) return foundStopped(core, "vm.gone");
  const link = core.attach(machine);
  if (record.state === "pausing") await core.transition("found_running", "host_restarted");
  // Interrupted while pausing or being captured: vCPUs may stand still and the disk be frozen. The handshake thaws it.
  startMachine(core, machine, new AbortController().signal).catch((error: unknown) => {
    dependencies.logger.error(
      { workspaceId: record.workspaceId, err: error },
      "adopted machine does not run",
    );
  });
  link.adopt();
  core.idle.arm();
  return undefined;
}

/**
 * A start that was cut off with its machine named in the journal: the agent may wait for the first token or ours, and is
 * asked with both in turn for as long as a start has.
 */
function finishStart(core: WorkspaceCore, machine: Machine): Rest {
  const { record } = core;
  const { handshake, linkToken, origin, state } = record;
  core.closeLink(new AtollError("link.lost"));
  return async (signal) => {
    let lastError = new AtollError("vm.start_failed");
    const reason = handshake?.reason ?? "boot";
    const { clock } = core.dependencies;
    const endMs = clock.monotonic() + (reason === "boot" ? BOOTED_ANSWER_MS : RESTORED_ANSWER_MS);
    const tokens = [handshake?.expectedToken ?? linkToken, linkToken] as const;
    for (let turn = 0; turn < tokens.length || clock.monotonic() < endMs; turn++) {
      const expectedToken = tokens[turn % 2] ?? linkToken;
      try {
        await bringUp(core, {
          machine,
          handshake: { reason, expectedToken },
          patch: {},
          signal,
          timeoutMs: FINISH_START_MS,
        });
        const first = origin === null ? "create" : "fork";
        const startedBy = reason === "create" ? (state === "creating" ? first : "resume") : reason;
        await core.transition("agent_ready", "host_restarted", {
          startedBy,
          handshake: null,
          errorCode: null,
          operation: null,
        });
        core.idle.arm();
        return;
      } catch (cause) {
        lastError = toAtollError(cause);
        // Both were asked with, and only one that says nothing may answer later.
        if (signal.aborted || (turn > 0 && lastError.code !== "vm.agent_silent")) break;
      }
    }
    core.dependencies.logger.error({ workspaceId: record.workspaceId, err: lastError }, "start not finished");
    await core.endMachine(lastError);
    if (core.record.tombstone === null)
      await foundStopped(core, reason === "boot" ? undefined : lastError.code);
  };
}

/** Nothing of the start was named yet: as before it, as far as that is there. */
async function startUndone(core: WorkspaceCore): Promise<undefined> {
  const { record, dependencies } = core;
  const patch = { machine: null, handshake: null };
  if (record.disk === null) {
    await core.transition("start_failed", "host_restarted", { ...patch, errorCode: "vm.start_failed" });
    return undefined;
  }
  // One that went on from its own memory had none; what is found now was committed by a sealing left behind.
  const wentOn = record.handshake?.reason === "resume";
  const snapshot = wentOn
    ? undefined
    : await dependencies.source.findSnapshot(record.workspaceId, record.disk);
  if (snapshot !== undefined) {
    await core.transition("found_paused", "host_restarted", { ...patch, pausedIn: "disk", snapshot });
    return undefined;
  }
  // Consumed by a machine that never ran and is named nowhere; or it paused in memory, and that is gone.
  const wasInMemory = record.snapshot !== null || wentOn;
  return foundStopped(core, wasInMemory ? "vm.gone" : undefined);
}

async function foundStopped(core: WorkspaceCore, lostBy?: string): Promise<undefined> {
  const lostMemory =
    lostBy === undefined ? core.record.lostMemory : { code: lostBy, atMs: core.dependencies.clock.now() };
  const event = core.record.state === "paused" ? "memory_gone" : "found_stopped";
  await core.transition(event, "host_restarted", {
    machine: null,
    handshake: null,
    snapshot: null,
    operation: null,
    lostMemory,
  });
  return undefined;
}

async function end(core: WorkspaceCore, machine: Machine | undefined): Promise<undefined> {
  if (machine === undefined) return undefined;
  await core.endMachine(new AtollError("workspace.not_running"));
  return undefined;
}
