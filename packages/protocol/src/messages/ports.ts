import * as z from "zod";
import { previewPort } from "../ids.ts";
import { channel } from "../message.ts";

export const listeningPort = z.object({
  port: z.number().int().min(1).max(65_535),
  /** `127.0.0.1`, `0.0.0.0`, `::` … as the program bound it. */
  address: z.string().max(64),
  pid: z.number().int().optional(),
  process: z.string().max(64).optional(),
});
export type ListeningPort = z.infer<typeof listeningPort>;

/** TCP ports that user programs listen on; the agent's own are left out. */
export const portsWatch = channel("ports.watch", {
  callers: ["session", "host"],
  params: z.object({}),
  result: z.object({ ports: z.array(listeningPort) }),
  openerEvent: z.never(),
  acceptorEvent: z.object({ type: z.literal("ports"), ports: z.array(listeningPort) }),
});

/** A TCP connection to the guest's loopback. Fails with `port.nothing_listening`. */
export const portsConnect = channel("ports.connect", {
  callers: ["preview", "host"],
  params: z.object({ port: previewPort }),
  result: z.object({}),
  openerEvent: z.never(),
  acceptorEvent: z.never(),
});
