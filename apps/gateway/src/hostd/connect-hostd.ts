import { createConnection, type Socket } from "node:net";
import { type Clock, systemClock } from "@atoll/base/clock";
import { AtollError } from "@atoll/protocol/atoll-error";
import { encodeFrame, FrameKind } from "@atoll/protocol/frame";
import { encodeJson } from "@atoll/protocol/json-payload";
import type { ConnectionHello } from "@atoll/protocol/session-hello";

/** A local socket connects at once or not at all; a full backlog is the only thing to wait for. */
const CONNECT_TIMEOUT_MS = 5_000;

export interface ConnectHostdOptions {
  socketPath: string;
  hello: ConnectionHello;
  signal: AbortSignal;
  clock?: Clock;
}

/**
 * Opens one connection to hostd's link socket and says who it is for. The caller owns the socket.
 * @throws AtollError host.unreachable; the signal's reason.
 */
export async function connectHostd(options: ConnectHostdOptions): Promise<Socket> {
  const { signal, clock = systemClock } = options;
  if (signal.aborted) throw signal.reason;
  const socket = createConnection({ path: options.socketPath });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onAbort = () => reject(signal.reason);
  const cancelTimer = clock.schedule(CONNECT_TIMEOUT_MS, () =>
    reject(new AtollError("host.unreachable", "link socket did not accept")),
  );
  socket.once("connect", resolve);
  socket.once("error", (cause) => reject(new AtollError("host.unreachable", undefined, { cause })));
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    await promise;
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    cancelTimer();
    signal.removeEventListener("abort", onAbort);
  }
  socket.write(
    encodeFrame({ kind: FrameKind.hello, flags: 0, streamId: 0, payload: encodeJson(options.hello) }),
  );
  return socket;
}
