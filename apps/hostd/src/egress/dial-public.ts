import { connect, type Socket } from "node:net";
import type { Clock } from "@atoll/base/clock";
import { withDeadline } from "@atoll/base/with-deadline";
import { AtollError } from "@atoll/protocol/atoll-error";
import { isPublicAddress } from "./address-ranges.ts";
import type { EgressTarget } from "./egress-policy.ts";
import { isOwnAddress } from "./own-addresses.ts";
import type { ResolveHost } from "./resolve-host.ts";

export interface DialPublicOptions {
  /** All addresses of a name. */
  resolve: ResolveHost;
  clock: Clock;
  signal: AbortSignal;
  /** Opens the connection to an address that was judged. */
  connect?: (address: string, port: number) => Socket;
  /** Whether it is this host's own. */
  isOwn?: (address: string) => boolean;
}

const RESOLVE_TIMEOUT_MS = 10_000;
const CONNECT_TIMEOUT_MS = 10_000;
/** Addresses of one name that are tried, in the resolver's order. */
const ADDRESSES_MAX = 4;

/**
 * Resolves once and dials exactly what it judged, so a name cannot answer differently the second time. One private
 * address among the answers, or one of this host, refuses the name: it is either a mistake or an attempt.
 * @throws AtollError egress.private_address, egress.unreachable
 */
export async function dialPublic(target: EgressTarget, options: DialPublicOptions): Promise<Socket> {
  const { clock, signal, connect: open = connectTcp, isOwn = isOwnAddress } = options;
  const addresses = target.isAddress ? [target.host] : await resolveAll(target.host, options);
  if (addresses.length === 0) throw new AtollError("egress.unreachable", "the name has no address");
  if (!addresses.every(isPublicAddress) || addresses.some((address) => isOwn(address))) {
    throw new AtollError("egress.private_address");
  }
  let lastCause: unknown;
  for (const address of addresses.slice(0, ADDRESSES_MAX)) {
    signal.throwIfAborted();
    const socket = open(address, target.port);
    try {
      await withDeadline(connected(socket), {
        timeoutMs: CONNECT_TIMEOUT_MS,
        clock,
        signal,
        onTimeout: () => new AtollError("egress.unreachable", "connecting took too long"),
      });
      return socket;
    } catch (cause) {
      socket.destroy();
      lastCause = cause;
    }
  }
  signal.throwIfAborted();
  throw new AtollError("egress.unreachable", undefined, { cause: lastCause });
}

async function resolveAll(host: string, { resolve, clock, signal }: DialPublicOptions): Promise<string[]> {
  const over = new AbortController();
  try {
    const answers = await withDeadline(resolve(host, AbortSignal.any([signal, over.signal])), {
      timeoutMs: RESOLVE_TIMEOUT_MS,
      clock,
      signal,
      onTimeout: () => new AtollError("egress.unreachable", "the name server did not answer"),
    });
    return answers.map(({ address }) => address);
  } catch (cause) {
    signal.throwIfAborted();
    throw new AtollError("egress.unreachable", "the name was not found", { cause });
  } finally {
    // Nobody waits for a look-up that took too long.
    over.abort();
  }
}

function connectTcp(address: string, port: number): Socket {
  return connect({ host: address, port, allowHalfOpen: true, noDelay: true });
}

function connected(socket: Socket): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  // The error listener stays: a late error of a socket nobody reads yet must not end the process.
  socket.once("connect", resolve).on("error", reject);
  return promise;
}
