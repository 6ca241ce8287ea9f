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

/**
 * What the guest is doing, for the host to judge whether that is work. Cheap; asked a few times a minute. Everything in
 * it is the guest's word: it may keep the machine awake within the bounds of leases and plans, and nothing else.
 */
export const coreActivity = request("core.activity", {
  callers: ["host"],
  params: z.object({
    /** What `atoll keep-awake` may promise: the plan's bound. */
    keepAwakeMaxSeconds: z.number().int().positive().optional(),
  }),
  result: z.object({
    /** Commands in front of a terminal that are not its shell. */
    foreground: z.array(z.object({ terminalId: z.string().max(64), command: z.string().max(80) })).max(32),
    /** CPU time of all programs but the agent since boot. May fall, when a program ended that nobody waited for. */
    cpuMs: z.number().nonnegative(),
    /** Held by `atoll keep-awake` in the guest. */
    leases: z.array(z.object({ detail: z.string().max(80), untilMs: z.number() })).max(16),
  }),
});

/**
 * Finds and removes what must not go into a template: keys, tokens, histories, machine identity. Asked of a machine
 * that is nobody's yet. `files` is cut at its bound, `count` is not.
 */
export const coreScrub = request("core.scrub", {
  callers: ["host"],
  params: z.object({}),
  result: z.object({
    files: z.array(z.object({ path: z.string(), rule: z.string().max(64) })).max(1000),
    count: z.number().int().nonnegative(),
  }),
});
