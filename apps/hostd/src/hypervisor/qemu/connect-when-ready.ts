import { watch } from "node:fs";
import { join } from "node:path";
import { type Clock, systemClock } from "@atoll/base/clock";
import { deferred } from "@atoll/base/deferred";
import { withDeadline } from "@atoll/base/with-deadline";
import { AtollError } from "@atoll/protocol/atoll-error";
import { isAlive, type ProcessIdentity } from "./process-identity.ts";
import { QMP_SOCKET } from "./qemu-arguments.ts";
import { QmpClient } from "./qmp-client.ts";

const READY_TIMEOUT_MS = 60_000;
/** A connection made while QEMU still starts may be lost on it: then the next one is served. */
const GREETING_TIMEOUT_MS = 3000;
/** Between QEMU's bind, which makes the file appear, and its listen; and how soon an early death is noticed. */
const RETRY_MS = 2;
const CHECK_ALIVE_MS = 100;

/** Connects to the monitor of a process that was just started, as soon as its socket appears. */
export async function connectWhenReady(
  runDirectory: string,
  process: ProcessIdentity,
  options: { signal?: AbortSignal | undefined; clock?: Clock } = {},
): Promise<QmpClient> {
  const { signal, clock = systemClock } = options;
  signal?.throwIfAborted();
  const path = join(runDirectory, QMP_SOCKET);
  let changed = deferred<void>();
  const watcher = watch(runDirectory, () => changed.resolve());
  let isOver = false;
  const attempt = async () => {
    for (let waitMs = RETRY_MS; !isOver; ) {
      const seen = changed;
      try {
        const client = await QmpClient.connect(path, { timeoutMs: GREETING_TIMEOUT_MS, signal, clock });
        if (!isOver) return client;
        client.close();
      } catch (error) {
        if (signal?.aborted) throw error;
        if (!isAlive(process)) throw new AtollError("vm.start_failed", "the machine monitor ended early");
      }
      const cancel = clock.schedule(waitMs, () => seen.resolve());
      await seen.promise;
      cancel();
      changed = deferred();
      // The first retry covers the gap before listen; without a socket file the watcher wakes us.
      waitMs = waitMs === RETRY_MS ? CHECK_ALIVE_MS : RETRY_MS;
    }
    throw new AtollError("vm.start_failed", "nobody waits for the machine monitor any more");
  };
  try {
    return await withDeadline(attempt(), {
      timeoutMs: READY_TIMEOUT_MS,
      clock,
      signal,
      onTimeout: () => new AtollError("vm.start_failed", "the machine monitor did not come up"),
    });
  } finally {
    isOver = true;
    changed.resolve();
    watcher.close();
  }
}
