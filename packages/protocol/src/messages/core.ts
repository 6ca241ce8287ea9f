import * as z from "zod";
import { request } from "../message.ts";

/** Round trip to the guest agent; the status bar's latency. */
export const corePing = request("core.ping", {
  callers: ["session", "host"],
  params: z.object({}),
  result: z.object({ uptimeMs: z.number() }),
});

/** Syncs and freezes the user's disk so that what follows is consistent. Thawed by core.thaw or by the next handshake. */
export const coreQuiesce = request("core.quiesce", {
  callers: ["host"],
  params: z.object({}),
  result: z.object({ frozen: z.boolean() }),
});

export const coreThaw = request("core.thaw", {
  callers: ["host"],
  params: z.object({}),
  result: z.object({}),
});

/** Ends user processes, syncs and powers off. The link is lost soon after the answer. */
export const coreShutdown = request("core.shutdown", {
  callers: ["host"],
  params: z.object({}),
  result: z.object({}),
});

export const coreStatus = request("core.status", {
  callers: ["session", "host"],
  params: z.object({}),
  result: z.object({
    kernel: z.string().max(200),
    memoryTotalBytes: z.number().nonnegative(),
    memoryAvailableBytes: z.number().nonnegative(),
    diskTotalBytes: z.number().nonnegative(),
    diskFreeBytes: z.number().nonnegative(),
    load1: z.number().nonnegative(),
    processCount: z.number().int().nonnegative(),
    agentRssBytes: z.number().nonnegative(),
  }),
});
