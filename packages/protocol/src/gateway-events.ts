/**
 * Socket.IO between browser and gateway. Polling is off; `Origin` is matched exactly before the upgrade.
 * Both ends pass `parser: socketParser` (socket-parser.ts).
 */
import * as z from "zod";
import { errorDetails } from "./atoll-error.ts";
import { uuid } from "./ids.ts";

export const GATEWAY_PATH = "/session";

/** The `auth` of a Socket.IO connect. A new ticket for every attempt. */
export const socketAuth = z.object({
  ticket: z.string().min(1).max(4096),
  tabId: uuid,
  takeOver: z.boolean().default(false),
});
export type SocketAuth = z.input<typeof socketAuth>;

export const refusal = z.object({ code: z.string().max(64), details: errorDetails.optional() });
/** Sent before the gateway closes a socket, and as `data` of `connect_error`. */
export type Refusal = z.infer<typeof refusal>;

export interface ClientToServer {
  /** Any number of whole or partial frames, at most SOCKET_MESSAGE_MAX_BYTES. */
  bytes: (chunk: Uint8Array) => void;
}
export interface ServerToClient {
  bytes: (chunk: ArrayBuffer | Uint8Array) => void;
  refused: (refusal: Refusal) => void;
}
