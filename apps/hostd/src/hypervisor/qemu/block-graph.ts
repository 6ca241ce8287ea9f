/**
 * Changes of a live machine's block graph through its monitor: a new layer on top, and the layers below merged into it.
 * Everything is found out from QEMU itself, so it works on a machine that an earlier life of hostd started.
 */
import { type Clock, systemClock } from "@atoll/base/clock";
import { deferred } from "@atoll/base/deferred";
import { withDeadline } from "@atoll/base/with-deadline";
import { AtollError } from "@atoll/protocol/atoll-error";
import { z } from "zod";
import { backingNode, layerIdOf, layerNodes } from "./block-nodes.ts";
import { DISK_DEVICE, layerNode } from "./qemu-arguments.ts";
import type { QmpClient } from "./qmp-client.ts";

interface BlockStats {
  qdev?: string | undefined;
  "node-name"?: string | undefined;
  backing?: BlockStats | undefined;
}
const blockStats: z.ZodType<BlockStats> = z.object({
  qdev: z.string().optional(),
  "node-name": z.string().optional(),
  get backing() {
    return blockStats.optional();
  },
});
const jobs = z.array(
  z.object({ id: z.string(), "current-progress": z.number(), "total-progress": z.number() }),
);

/** One at a time; an adopted machine's is found by it. */
const FLATTEN_JOB = "flatten";
const DISK_QDEV = `/machine/peripheral/${DISK_DEVICE}/virtio-backend`;
/** Opening a layer derives its key, and taking it as top flushes the one before. */
const SWITCH_TIMEOUT_MS = 30_000;
const CANCEL_TIMEOUT_MS = 30_000;
/** How often a job is asked for its progress, and how often in a row it may have made none. */
const PROGRESS_EVERY_MS = 15_000;
const STALLS_MAX = 8;

export class BlockGraph {
  readonly #qmp: QmpClient;
  readonly #clock: Clock;

  constructor(qmp: QmpClient, clock: Clock = systemClock) {
    this.#qmp = qmp;
    this.#clock = clock;
  }

  /** Layers of the user's disk as QEMU has them, top first. */
  async layerIds(signal?: AbortSignal): Promise<string[]> {
    const devices = await this.#qmp.execute("query-blockstats", {}, z.array(blockStats), { signal });
    const ids: string[] = [];
    for (let at = devices.find(({ qdev }) => qdev === DISK_QDEV); at !== undefined; at = at.backing) {
      const layerId = layerIdOf(at["node-name"] ?? "");
      if (layerId !== undefined) ids.push(layerId);
    }
    return ids;
  }

  /** Layers of the user's disk that are open, in use or not. */
  async openLayerIds(signal?: AbortSignal): Promise<string[]> {
    const parameters = { "query-nodes": true };
    const nodes = await this.#qmp.execute("query-blockstats", parameters, z.array(blockStats), { signal });
    return nodes.flatMap((node) => layerIdOf(node["node-name"] ?? "") ?? []);
  }

  /** Reads the passphrase from a file that the caller wipes as soon as this resolves. */
  async addSecret(layerId: string, pathInJail: string): Promise<void> {
    const { secret } = layerNodes("d", layerId);
    const object = { "qom-type": "secret", id: secret, file: pathInJail, format: "raw" };
    try {
      await this.#qmp.execute("object-add", object, z.unknown());
    } catch {
      // Left from an attempt that was cut off.
      await this.forgetSecret(layerId);
      await this.#qmp.execute("object-add", object, z.unknown());
    }
  }

  /** To be put on top. */
  async openLayer(layerId: string): Promise<void> {
    const node = layerNode("d", layerId, { backing: null, isTop: true });
    await this.#qmp.execute("blockdev-add", node, z.unknown(), { timeoutMs: SWITCH_TIMEOUT_MS });
  }

  /** `layerId`, which is open, becomes the top over `below`, which is flushed and only read from then on. Fails with nothing switched. */
  async putOnTop(layerId: string, below: string): Promise<void> {
    const overlay = layerNodes("d", layerId).layer;
    try {
      const snapshot = { node: layerNodes("d", below).layer, overlay };
      await this.#qmp.execute("blockdev-snapshot", snapshot, z.unknown(), { timeoutMs: SWITCH_TIMEOUT_MS });
    } catch (error) {
      await this.closeLayer(layerId);
      throw error;
    }
  }

  /** `layerIds`, bottom first and only read, come between `top` and what is below that (undefined: the template's disk). */
  async putBelowTop(layerIds: readonly string[], top: string, below: string | undefined): Promise<void> {
    const options = { timeoutMs: SWITCH_TIMEOUT_MS };
    let backing = below === undefined ? backingNode("d") : layerNodes("d", below).layer;
    const nodes = layerIds.map((layerId) => {
      const node = layerNode("d", layerId, { backing, isTop: false });
      backing = layerNodes("d", layerId).layer;
      return node;
    });
    // Asked at once, done in this order.
    await Promise.all(nodes.map((node) => this.#qmp.execute("blockdev-add", node, z.unknown(), options)));
    const { file } = layerNodes("d", top);
    const node = layerNode("d", top, { backing, isTop: true });
    await this.#qmp.execute("blockdev-reopen", { options: [{ ...node, file }] }, z.unknown(), options);
  }

  /**
   * Of a machine that waits for saved state: `layerId` and what is below it are read anew and locked, which takes as long
   * as opening them did. The same happens to whatever is left when the state is there: what fails now fails again, and is
   * reported, with that.
   */
  activateSoon(layerId: string): void {
    const parameters = { "node-name": layerNodes("d", layerId).layer, active: true };
    this.#qmp
      .execute("blockdev-set-active", parameters, z.unknown(), { timeoutMs: SWITCH_TIMEOUT_MS })
      .catch(() => {});
  }

  /** Of a layer that no chain uses; false when one does. */
  async closeLayer(layerId: string): Promise<boolean> {
    const { layer } = layerNodes("d", layerId);
    try {
      await this.#qmp.execute("blockdev-del", { "node-name": layer }, z.unknown());
      return true;
    } catch (error) {
      if (error instanceof AtollError && error.code === "vm.monitor_failed") return false;
      throw error;
    }
  }

  async forgetSecret(layerId: string): Promise<void> {
    // QEMU has read it; the object only holds one more copy of the passphrase.
    const { secret } = layerNodes("d", layerId);
    await this.#qmp.execute("object-del", { id: secret }, z.unknown()).catch(() => {});
  }

  /**
   * Copies what lies between the template's disk and the top into the top, makes it durable and closes the layers below.
   * Joins a job that runs already.
   * @param speedBytes per second; 0 for no limit
   */
  async flattenInto(top: string, speedBytes: number, signal?: AbortSignal): Promise<void> {
    await this.#stream(top, speedBytes, signal);
    await this.#flush(top, signal);
    // One that lies below another can only be closed after it.
    for (let left = await this.#unused(top, signal); left.length > 0; ) {
      const stillOpen: string[] = [];
      for (const layerId of left) {
        if (await this.closeLayer(layerId)) await this.forgetSecret(layerId);
        else stillOpen.push(layerId);
      }
      if (stillOpen.length === left.length)
        throw new AtollError("vm.monitor_failed", "layers below the top cannot be closed");
      left = stillOpen;
    }
  }

  /** Ends a flattening that may be under way; whoever waits for it is told. */
  async cancelFlatten(): Promise<void> {
    if (!(await this.#job())) return;
    const over = this.#jobOver();
    try {
      await this.#qmp
        .execute("block-job-cancel", { device: FLATTEN_JOB, force: true }, z.unknown())
        .catch(() => {});
      if (!(await this.#job())) return;
      await withDeadline(over.promise, {
        timeoutMs: CANCEL_TIMEOUT_MS,
        clock: this.#clock,
        onTimeout: () => new AtollError("vm.monitor_failed", "the flattening could not be ended"),
      });
    } finally {
      over.dispose();
    }
  }

  async #stream(top: string, speedBytes: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const over = this.#jobOver();
    try {
      const running = await this.#job(signal);
      if (running === undefined) {
        const job = {
          "job-id": FLATTEN_JOB,
          device: layerNodes("d", top).layer,
          "base-node": backingNode("d"),
          speed: speedBytes,
        };
        await this.#qmp.execute("block-stream", job, z.unknown(), { signal });
      }
      let progress = -1;
      for (let stalls = 0; ; ) {
        const result = await this.#waitFor(over.promise, PROGRESS_EVERY_MS, signal);
        if (result === "completed") return;
        if (result !== undefined) throw result;
        // Its end comes as an event, but a monitor that was stopped sends none.
        const now = await this.#job(signal);
        const hasMoved = now !== undefined && now["current-progress"] !== progress;
        if (now !== undefined) progress = now["current-progress"];
        stalls = hasMoved ? 0 : stalls + 1;
        if (stalls > STALLS_MAX) throw new AtollError("vm.monitor_failed", "the flattening does not go on");
      }
    } catch (error) {
      await this.cancelFlatten().catch(() => {});
      if (signal?.aborted) throw signal.reason;
      throw error;
    } finally {
      over.dispose();
    }
  }

  async #waitFor<T>(work: Promise<T>, timeoutMs: number, signal?: AbortSignal): Promise<T | undefined> {
    const pause = deferred<undefined>();
    const cancel = this.#clock.schedule(timeoutMs, () => pause.resolve(undefined));
    const onAbort = () => pause.reject(signal?.reason);
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      signal?.throwIfAborted();
      return await Promise.race([work, pause.promise]);
    } finally {
      cancel();
      signal?.removeEventListener("abort", onAbort);
    }
  }

  /** Listens from now on. Resolves to `completed`, or to what it failed with. */
  #jobOver(): { promise: Promise<"completed" | AtollError>; dispose(): void } {
    const over = deferred<"completed" | AtollError>();
    const dispose = this.#qmp.onEvent(({ event, data }) => {
      if (data.device !== FLATTEN_JOB) return;
      if (event === "BLOCK_JOB_CANCELLED")
        over.resolve(new AtollError("request.aborted", "flattening was ended"));
      else if (event === "BLOCK_JOB_COMPLETED" && data.error === undefined) over.resolve("completed");
      else if (event === "BLOCK_JOB_COMPLETED")
        over.resolve(new AtollError("vm.monitor_failed", `flattening failed: ${String(data.error)}`));
    });
    void this.#qmp.closed.then(() => over.resolve(new AtollError("vm.gone", "the monitor closed")));
    return { promise: over.promise, dispose };
  }

  async #job(signal?: AbortSignal): Promise<z.infer<typeof jobs>[number] | undefined> {
    const running = await this.#qmp.execute("query-jobs", {}, jobs, { signal });
    return running.find(({ id }) => id === FLATTEN_JOB);
  }

  /** QEMU ends the job with its tables in memory; reopening a node is what flushes it. */
  async #flush(top: string, signal?: AbortSignal): Promise<void> {
    const { file } = layerNodes("d", top);
    const node = layerNode("d", top, { backing: backingNode("d"), isTop: true });
    await this.#qmp.execute("blockdev-reopen", { options: [{ ...node, file }] }, z.unknown(), {
      signal,
      timeoutMs: SWITCH_TIMEOUT_MS,
    });
  }

  async #unused(top: string, signal?: AbortSignal): Promise<string[]> {
    return (await this.openLayerIds(signal)).filter((layerId) => layerId !== top);
  }
}
