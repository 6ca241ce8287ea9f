import type { Clock } from "@atoll/base/clock";
import { withDeadline } from "@atoll/base/with-deadline";
import { AtollError } from "@atoll/protocol/atoll-error";
import { type OpenChannel, openChannel } from "@atoll/protocol/call";
import { filesPack, filesUnpack, VIEW_ROOT } from "@atoll/protocol/messages/views";
import type { Mux } from "@atoll/protocol/mux";
import type { Workspace } from "../workspaces/workspace.ts";
import type { ViewedWorkspace, ViewRegistry } from "./view-registry.ts";

/** Neither side says anything for so long: one of them hangs. */
const STALL_TIMEOUT_MS = 120_000;

export interface RestorePathsOptions {
  checkpointId: string;
  /** Absolute, as in the workspace. */
  paths: readonly string[];
  signal?: AbortSignal | undefined;
  clock: Clock;
}

export interface RestoredPaths {
  /** Of the archive: contents and names. */
  restoredBytes: number;
  /** Entries that the stored disk could not give any more. */
  skippedCount: number;
}

/**
 * Files and folders as they were at a checkpoint, over those of the running workspace: one archive, streamed from the
 * view's guest into the workspace's. The caller made a safety checkpoint; what was unpacked before a failure stays.
 */
export async function restorePaths(
  views: ViewRegistry,
  workspace: ViewedWorkspace & Pick<Workspace, "guest" | "meter">,
  options: RestorePathsOptions,
): Promise<RestoredPaths> {
  const { clock, signal } = options;
  const paths = options.paths.map((path) => path.replace(/^\/+/, "").replace(/\/+$/, "") || ".");
  const view = views.open(workspace, options.checkpointId);
  try {
    await untilAborted(view.ready, signal);
    const from = muxOf(view.guest?.mux, new AtollError("view.unavailable"));
    const to = muxOf(workspace.guest?.mux, new AtollError("workspace.not_running"));
    const limits = { clock, signal, timeoutMs: STALL_TIMEOUT_MS };
    const pack = await openChannel(from, filesPack, { root: VIEW_ROOT, paths, format: "tar" }, limits);
    try {
      const unpack = await openChannel(to, filesUnpack, { root: "/" }, limits);
      try {
        const onProgress = () => workspace.meter.markApi("files restored");
        return await copy(pack, unpack, { ...limits, onProgress });
      } finally {
        if (!unpack.stream.isOver) unpack.stream.reset(new AtollError("request.aborted"));
      }
    } finally {
      if (!pack.stream.isOver) pack.stream.reset(new AtollError("request.aborted"));
    }
  } finally {
    view.release();
  }
}

interface Limits {
  clock: Clock;
  signal: AbortSignal | undefined;
  timeoutMs: number;
}

async function copy(
  pack: OpenChannel<typeof filesPack>,
  unpack: OpenChannel<typeof filesUnpack>,
  limits: Limits & { onProgress: () => void },
): Promise<RestoredPaths> {
  const step = <T>(promise: Promise<T>): Promise<T> =>
    withDeadline(promise, {
      ...limits,
      onTimeout: () => new AtollError("request.timeout", "restoring files stalled"),
    });
  // A full disk ends the unpacking while the view still sends: whichever fails first is the reason.
  const unpacked = lastOf(unpack.items(), "unpacked");
  unpacked.catch((cause: unknown) => pack.stream.isOver || pack.stream.reset(toReset(cause)));
  let restoredBytes = 0;
  let skippedCount: number | undefined;
  const items = pack.items();
  try {
    for (let next = await step(items.next()); next.done !== true; next = await step(items.next())) {
      if (next.value.kind === "event") skippedCount = next.value.value.skippedCount;
      else {
        await step(unpack.stream.write(next.value.bytes));
        restoredBytes += next.value.bytes.length;
        limits.onProgress();
      }
    }
    if (skippedCount === undefined) throw new AtollError("stream.reset", "the archive has no end");
  } catch (cause) {
    // The unpacking's own failure says more than the broken stream it leaves.
    if (unpack.stream.isOver) await unpacked;
    throw cause;
  }
  unpack.stream.end();
  await step(unpacked);
  return { restoredBytes, skippedCount };
}

async function lastOf<T extends { kind: "data" } | { kind: "event"; value: { type: string } }>(
  items: AsyncGenerator<T>,
  type: string,
): Promise<void> {
  for await (const item of items) if (item.kind === "event" && item.value.type === type) return;
  throw new AtollError("stream.reset", "unpacking ended early");
}

function toReset(cause: unknown): AtollError {
  return cause instanceof AtollError ? cause : new AtollError("stream.reset");
}

function muxOf(mux: Mux | undefined, error: AtollError): Mux {
  if (mux === undefined) throw error;
  return mux;
}

function untilAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
