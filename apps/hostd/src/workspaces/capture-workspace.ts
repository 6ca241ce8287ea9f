import { isDeepStrictEqual } from "node:util";
import { AtollError, toAtollError } from "@atoll/protocol/atoll-error";
import type { Machine } from "../hypervisor/hypervisor.ts";
import type { Point } from "../machines/machine-source.ts";
import { unarchiveDisk } from "./archive-workspace.ts";
import { letGoOn, quiesceGuest, stopMachine } from "./quiesce-guest.ts";
import { memoryStepTimeoutMs } from "./seal-workspace.ts";
import type { WorkspaceCore } from "./workspace-core.ts";

export interface CaptureOptions {
  withMemory: boolean;
  /** For a machine that runs: `after` lets it go on at once, `never` leaves it standing, quiesced, for the caller. */
  letRun: "after" | "never";
  /** Gets the point, and owns it, as soon as it stands, for who need not wait until what runs has thawed. */
  onPoint?: (point: Point) => void;
  signal: AbortSignal;
}

/**
 * The present state of a workspace, in whatever form it is, as a point that a checkpoint or a fork begins from. A running
 * one is frozen for as long as the capture takes and goes on whatever comes of it.
 */
export async function captureWorkspace(core: WorkspaceCore, options: CaptureOptions): Promise<Point> {
  const { signal } = options;
  const { machine, record } = core;
  if (record.isArchived) {
    await unarchiveDisk(core, signal);
    if (core.record.state === "archived") await core.transition("stopped", core.record.reason);
  }
  const isRunning = record.state === "running";
  if (!isRunning || machine === undefined) {
    // Memory that a stop dropped may lie there still.
    const withMemory = options.withMemory && (machine !== undefined || record.snapshot !== null);
    return take(core, machine, { ...options, withMemory, letRun: false });
  }
  // It stands still by itself, with a name for why.
  if (core.refusedBy !== undefined) throw new AtollError(core.refusedBy);
  const letRun = options.letRun === "after";
  const quiesce = async () => {
    await quiesceGuest(core, signal);
    if (options.letRun === "never") await stopMachine(core, machine, signal);
  };
  try {
    const afterwards = letRun ? () => letGoOn(core, machine) : undefined;
    return await take(core, machine, { ...options, letRun, quiesce, afterwards });
  } catch (cause) {
    await letGoOn(core, machine);
    throw toAtollError(cause);
  }
}

async function take(
  core: WorkspaceCore,
  machine: Machine | undefined,
  {
    withMemory,
    letRun,
    onPoint,
    signal,
    quiesce,
    afterwards,
  }: Pick<CaptureOptions, "withMemory" | "onPoint" | "signal"> & {
    letRun: boolean;
    quiesce?: () => Promise<void>;
    /** Never rejects. */
    afterwards?: (() => Promise<void>) | undefined;
  },
): Promise<Point> {
  const { source } = core.dependencies;
  const { linkToken } = core.record;
  const { disk, point } = await core.step(
    "capture",
    (bounded) =>
      source.capture(core.request(bounded), core.disk, machine, {
        ...{ withMemory, linkToken, letRun },
        ...(quiesce === undefined ? {} : { quiesce }),
      }),
    {
      timeoutMs: memoryStepTimeoutMs(core),
      signal,
      onLate: (late) => late.point[Symbol.asyncDispose](),
    },
  );
  const goesOn = afterwards?.();
  // What it stands on is durable; the journal's word on the disk is for its origin.
  onPoint?.(point);
  try {
    if (!isDeepStrictEqual(disk, core.record.disk)) await core.update({ disk });
  } catch (error) {
    await goesOn;
    if (onPoint === undefined) await point[Symbol.asyncDispose]();
    throw error;
  }
  await goesOn;
  return point;
}
