/**
 * The host's side of a guest vsock port as Firecracker and vhost-user-vsock offer it: a Unix socket on which
 * `CONNECT <port>\n` is answered by `OK <host port>\n`, after which it carries the guest's bytes. Only that line
 * exchange lives here; the link handshake follows on the returned stream.
 */
import { connect, type Socket } from "node:net";
import { type Clock, systemClock } from "@atoll/base/clock";
import { withDeadline } from "@atoll/base/with-deadline";
import { AtollError } from "@atoll/protocol/atoll-error";

export interface DialVsockOptions {
  socketPath: string;
  port: number;
  timeoutMs: number;
  signal?: AbortSignal | undefined;
  clock?: Clock;
}

/** `OK ` and a u32, with the newline. A longer line is no answer. */
const ANSWER_MAX_BYTES = 16;

/**
 * The caller owns the stream. Nothing listening in the guest shows as a closed socket.
 * @throws AtollError link.lost, link.protocol
 */
export async function dialVsock(options: DialVsockOptions): Promise<Socket> {
  const socket = connect(options.socketPath);
  try {
    const rest = await withDeadline(exchange(socket, options.port), {
      timeoutMs: options.timeoutMs,
      clock: options.clock ?? systemClock,
      signal: options.signal,
      onTimeout: () => new AtollError("link.lost", `no answer to CONNECT ${options.port}`),
    });
    if (rest.length > 0) socket.unshift(rest);
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

/** Resolves with the bytes behind the answer line. */
function exchange(socket: Socket, port: number): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  let answer = Buffer.alloc(0);
  const onData = (chunk: Buffer) => {
    answer = Buffer.concat([answer, chunk]);
    const end = answer.indexOf(0x0a);
    if (end === -1 && answer.length < ANSWER_MAX_BYTES) return;
    settle();
    const line = answer.subarray(0, Math.max(end, 0)).toString("latin1");
    if (end === -1 || end >= ANSWER_MAX_BYTES || !/^OK \d{1,10}$/.test(line)) {
      reject(new AtollError("link.protocol", "vsock did not answer OK"));
    } else {
      socket.pause();
      resolve(answer.subarray(end + 1));
    }
  };
  const onClose = () => {
    settle();
    reject(new AtollError("link.lost", `vsock closed before port ${port} answered`));
  };
  const onError = (cause: Error) => {
    settle();
    reject(new AtollError("link.lost", "vsock socket failed", { cause }));
  };
  const settle = () => {
    socket.off("data", onData).off("close", onClose).off("error", onError);
  };
  socket.on("data", onData).on("close", onClose).on("error", onError);
  socket.write(`CONNECT ${port}\n`);
  return promise;
}
