import { once } from "node:events";
import { createConnection, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { systemClock } from "@atoll/base/clock";
import { withDeadline } from "@atoll/base/with-deadline";
import { AtollError } from "@atoll/protocol/atoll-error";

const LINK_TIMEOUT_MS = 10_000;
const LINK_RETRY_MS = 5;

/** A connection to the guest's port. @throws AtollError link.lost */
export async function connectLink(path: string, signal?: AbortSignal): Promise<Socket> {
  const giveUpAtMs = systemClock.monotonic() + LINK_TIMEOUT_MS;
  for (;;) {
    const socket = createConnection(path);
    // Whoever uses the stream hears of its end by `close`; without a listener an error would end hostd.
    socket.on("error", () => {});
    try {
      await withDeadline(once(socket, "connect"), {
        timeoutMs: LINK_TIMEOUT_MS,
        clock: systemClock,
        signal,
        onTimeout: () => new AtollError("link.lost", "the machine took no connection"),
      });
      return socket;
    } catch (cause) {
      socket.destroy();
      if (signal?.aborted || cause instanceof AtollError) throw cause;
      // QEMU has not yet taken in that the connection before is gone, and lets only one more wait.
      const isBusy = (cause as NodeJS.ErrnoException).code === "EAGAIN";
      if (!isBusy || systemClock.monotonic() > giveUpAtMs) {
        throw new AtollError("link.lost", "the machine took no connection", { cause });
      }
      await delay(LINK_RETRY_MS);
    }
  }
}
