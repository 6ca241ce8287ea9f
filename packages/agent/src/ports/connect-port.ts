import { once } from "node:events";
import { connect, type Socket } from "node:net";
import type { Clock } from "@atoll/base/clock";
import { withDeadline } from "@atoll/base/with-deadline";
import { AtollError } from "@atoll/protocol/atoll-error";
import type { MuxStream } from "@atoll/protocol/mux-stream";
import { hasErrno } from "../system/has-errno.ts";
import { joinSocket } from "./join-socket.ts";

/** A listener whose queue is full lets a connection wait; a page that loads does not wait longer. */
const CONNECT_TIMEOUT_MS = 10_000;

/** Refused, or a guest without that protocol. */
const NOBODY_THERE = ["ECONNREFUSED", "EADDRNOTAVAIL", "EAFNOSUPPORT", "ENETUNREACH", "EHOSTUNREACH"];

export interface ConnectPortOptions {
  port: number;
  reservedPorts: ReadonlySet<number>;
  stream: MuxStream;
  clock: Clock;
}

/** Joins the stream to a TCP connection with whatever listens on the guest's loopback, IPv4 first. */
export async function connectPort(options: ConnectPortOptions): Promise<void> {
  const { port, stream } = options;
  if (options.reservedPorts.has(port)) throw new AtollError("port.invalid", undefined, { details: { port } });
  const socket = (await tryConnect("127.0.0.1", options)) ?? (await tryConnect("::1", options));
  if (socket === undefined) throw new AtollError("port.nothing_listening", undefined, { details: { port } });
  if (stream.isOver) {
    socket.destroy();
    return;
  }
  stream.sendReply({});
  await joinSocket(socket, stream);
}

/** Undefined: nobody is there. */
async function tryConnect(host: string, { port, clock }: ConnectPortOptions): Promise<Socket | undefined> {
  const socket = connect({ host, port, allowHalfOpen: true, noDelay: true });
  try {
    await withDeadline(once(socket, "connect"), {
      timeoutMs: CONNECT_TIMEOUT_MS,
      clock,
      onTimeout: () => new AtollError("request.timeout", `port ${port} took no connection`),
    });
    return socket;
  } catch (cause) {
    socket.on("error", () => {});
    socket.destroy();
    if (cause instanceof AtollError) throw cause;
    if (hasErrno(cause, ...NOBODY_THERE)) return undefined;
    throw new AtollError("stream.reset", "the connection broke", { cause });
  }
}
