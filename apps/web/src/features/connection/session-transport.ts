import type { AtollError } from "@atoll/protocol/atoll-error";
import type { SocketAuth } from "@atoll/protocol/gateway-events";

export interface TransportEvents {
  onBytes: (chunk: Uint8Array) => void;
  /** Takes bytes again after `send` returned false. */
  onDrain: () => void;
  /** Called once, also when it never opened; nothing follows. */
  onClosed: (error: AtollError) => void;
}

/** One attempt to reach the gateway. */
export interface SessionTransport {
  send: (bytes: Uint8Array) => boolean;
  /** No event follows. */
  close: () => void;
}

export type OpenTransport = (auth: () => Promise<SocketAuth>, events: TransportEvents) => SessionTransport;
