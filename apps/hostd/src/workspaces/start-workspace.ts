import { AtollError, toAtollError } from "@atoll/protocol/atoll-error";
import type { StartStage, StateReason } from "@atoll/protocol/workspace-status";
import type { Machine } from "../hypervisor/hypervisor.ts";
import { StartProgress } from "./start-progress.ts";
import type { WorkspaceCore } from "./workspace-core.ts";

/** A restored guest answers in 50 ms, in seconds on a busy host; beyond this it is not coming. */
const RESTORED_ANSWER_MS = 30_000;
const BOOTED_ANSWER_MS = 120_000;

/**
 * Brings a workspace that has no machine to `running`: first create, resume from its snapshot, or cold boot. A snapshot
 * that cannot be used leads to a boot, which the status says.
 */
export async function startWorkspace(
  core: WorkspaceCore,
  options: { reason: StateReason; signal: AbortSignal },
): Promise<void> {
  const { reason, signal } = options;
  const { admission, clock, timings, logger } = core.dependencies;
  const { workspaceId, size, state, disk, snapshot, generation } = core.record;
  const path: StartStage["path"] = disk === null ? "create" : snapshot === null ? "boot" : "resume";
  const progress = new StartProgress({ path, timings, clock, onChange: (stage) => core.setStage(stage) });
  try {
    if (state === "creating") progress.enter("reserve");
    await admission.reserve(workspaceId, size.memoryMb);
  } catch (error) {
    // Only a first create changes state by being refused; a paused workspace stays as it is.
    if (state === "creating") await failStart(core, error);
    throw error;
  }
  try {
    if (state !== "creating") {
      await core.transition(path === "create" ? "create_begun" : "resume_begun", reason, {
        generation: generation + 1,
        errorCode: null,
      });
      progress.enter("reserve");
    }
    progress.enter("restore");
    let startedBy = path;
    if (path === "create") await create(core, progress, signal);
    else if (path === "boot") await boot(core, progress, signal);
    else {
      try {
        await resume(core, progress, signal);
      } catch (cause) {
        const error = toAtollError(cause);
        if (signal.aborted || keepsSnapshot(error)) throw error;
        logger.warn({ workspaceId, code: error.code, err: error }, "snapshot not usable, booting");
        await admission.reserve(workspaceId, size.memoryMb);
        await core.update({ snapshot: null });
        progress.fallBackToBoot();
        await boot(core, progress, signal);
        startedBy = "boot";
      }
    }
    progress.enter("ready");
    const isFallback = startedBy !== path;
    await core.transition("agent_ready", isFallback ? "snapshot_unusable" : reason, {
      startedBy,
      errorCode: null,
    });
    progress.finish();
    core.setStage(undefined);
    core.idle.arm();
    if (isFallback) core.dependencies.onNotice(workspaceId, "snapshot.invalid");
  } catch (error) {
    await discardMachine(core);
    await failStart(core, error);
    throw error;
  }
}

async function create(core: WorkspaceCore, progress: StartProgress, signal: AbortSignal): Promise<void> {
  const created = await core.dependencies.source.create(core.request(signal));
  const record = { disk: created.disk, keyCommitment: created.keyCommitment };
  await bringUp(core, progress, {
    ...created,
    reason: "create",
    expectedToken: created.linkToken,
    record,
    signal,
  });
}

async function boot(core: WorkspaceCore, progress: StartProgress, signal: AbortSignal): Promise<void> {
  const booted = await core.dependencies.source.boot(core.request(signal), core.disk);
  const record = { disk: booted.disk, snapshot: null };
  await bringUp(core, progress, {
    ...booted,
    reason: "boot",
    expectedToken: booted.linkToken,
    record,
    signal,
  });
}

async function resume(core: WorkspaceCore, progress: StartProgress, signal: AbortSignal): Promise<void> {
  const { snapshot, linkToken } = core.record;
  if (snapshot === null) throw new AtollError("snapshot.invalid", "there is no snapshot");
  const resumed = await core.dependencies.source.resume(core.request(signal), core.disk, snapshot);
  const record = { disk: resumed.disk, snapshot: null };
  await bringUp(core, progress, { ...resumed, reason: "resume", expectedToken: linkToken, record, signal });
}

interface BringUp {
  machine: Machine;
  reason: "create" | "boot" | "resume";
  expectedToken: string;
  record: Parameters<WorkspaceCore["update"]>[0];
  signal: AbortSignal;
}

/** The journal knows the process before its vCPUs run, so that a crash in between leaves nothing unnamed. */
async function bringUp(core: WorkspaceCore, progress: StartProgress, options: BringUp): Promise<void> {
  const { machine, reason } = options;
  const link = core.attach(machine);
  const gone = new AbortController();
  void machine.exited.then((exit) => gone.abort(new AtollError("vm.gone", `${exit.reason}: ${exit.detail}`)));
  const signal = AbortSignal.any([options.signal, gone.signal]);
  try {
    await core.update({ ...options.record, machine: machine.record });
    await link.connect({
      expectedToken: options.expectedToken,
      reason,
      timeoutMs: reason === "boot" ? BOOTED_ANSWER_MS : RESTORED_ANSWER_MS,
      signal,
      beforeHandshake: async () => {
        await machine.start(signal);
        progress.enter("identity");
      },
    });
  } catch (error) {
    await discardMachine(core);
    throw error;
  }
}

async function discardMachine(core: WorkspaceCore): Promise<void> {
  const machine = core.detach(new AtollError("workspace.failed"));
  await machine?.kill();
}

/** The host's trouble, not the snapshot's: trying again later may well succeed. */
function keepsSnapshot(error: AtollError): boolean {
  return /^(host|key|template|image)\./.test(error.code);
}

async function failStart(core: WorkspaceCore, cause: unknown): Promise<void> {
  const error = toAtollError(cause);
  core.setStage(undefined);
  core.dependencies.admission.release(core.record.workspaceId);
  const { workspaceId, state, snapshot } = core.record;
  core.dependencies.logger.error({ workspaceId, code: error.code, err: error }, "start failed");
  // A begin that could not be journalled left the state as it was.
  if (state !== "creating" && state !== "resuming") return;
  if (snapshot !== null && keepsSnapshot(error)) {
    await core.transition("found_paused", "start_failed", { errorCode: error.code, machine: null });
  } else {
    await core.transition("start_failed", "start_failed", { errorCode: error.code, machine: null });
  }
}
