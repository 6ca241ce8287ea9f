import * as z from "zod";
import { uuid } from "./ids.ts";
import { egressPreset } from "./messages/egress.ts";

export const workspaceState = z.enum([
  "creating",
  "running",
  "pausing",
  "paused",
  "resuming",
  "stopping",
  "stopped",
  "archived",
  "deleting",
  "erased",
  "failed",
]);
export type WorkspaceState = z.infer<typeof workspaceState>;

/** Why a workspace is in its state. One word for machines; the interface words it. */
export const stateReason = z.enum([
  "requested",
  "session_opened",
  "idle",
  "host_shutdown",
  "host_restarted",
  "snapshot_unusable",
  "vm_exited",
  "guest_halted",
  "start_failed",
  "deadline",
  "disk_full",
  /** The host's disk refused a write: the machine stands still until it is taken; `errorCode` tells which. */
  "host_disk",
  /** Paused or stopped for as long as its plan keeps it so. */
  "retention",
  "restored",
  "forked",
]);
export type StateReason = z.infer<typeof stateReason>;

/** Steps of one start, in order; `index` only grows within one generation. */
export const startStage = z.object({
  path: z.enum(["create", "resume", "boot", "fork"]),
  name: z.enum(["reserve", "restore", "identity", "ready"]),
  index: z.number().int().nonnegative(),
  total: z.number().int().positive(),
  startedAtMs: z.number(),
  /** What this stage usually takes on this host, when it is known. */
  typicalMs: z.number().nonnegative().optional(),
});
export type StartStage = z.infer<typeof startStage>;

/** One thing that keeps a workspace from pausing. */
export const awakeReason = z.object({
  kind: z.enum(["input", "foreground", "cpu", "network", "preview", "api", "lease"]),
  /** For people: the command in front, the port, the lease's own words. */
  detail: z.string().max(120),
  /** Of a lease: when it ends. */
  untilMs: z.number().optional(),
  /** Of a lease that the plan cut short: until when it was asked for. */
  askedUntilMs: z.number().optional(),
});
export type AwakeReason = z.infer<typeof awakeReason>;

/** A change that takes longer than a moment and is no start: shown, and refused to be doubled. */
export const workspaceOperation = z.object({
  kind: z.enum(["checkpoint", "restore", "fork", "flatten", "archive", "template"]),
  startedAtMs: z.number(),
});

export const isolation = z.enum(["hardware", "emulated"]);
export type Isolation = z.infer<typeof isolation>;

export const workspaceStatus = z.object({
  workspaceId: uuid,
  ownerId: uuid,
  state: workspaceState,
  reason: stateReason,
  sinceMs: z.number(),
  /** Grows with every accepted lifecycle operation; an operation naming an older one is refused. */
  generation: z.number().int().nonnegative(),
  stage: startStage.optional(),
  /** Error code of a failed state. */
  errorCode: z.string().max(64).optional(),
  /** How the last start came about, once running. `boot` after `resume` was expected: memory was lost, files were not. */
  startedBy: z.enum(["create", "resume", "boot", "fork"]).optional(),
  sessionCount: z.number().int().nonnegative(),
  /** Of a running workspace: when it pauses if nothing more happens. Absent while something keeps it awake. */
  pausesAtMs: z.number().optional(),
  /** When the interface should warn of that pause. */
  warnsAtMs: z.number().optional(),
  /** Of a running workspace: what keeps it awake now, newest first. */
  awakeBecause: z.array(awakeReason).max(16).optional(),
  /** The plan's bound: no lease lasts longer. */
  keepAwakeMaxSeconds: z.number().int().positive().optional(),
  /** The last thing that was work, and when; of an idle or paused workspace why it pauses or did. */
  lastWork: z.object({ reason: awakeReason, atMs: z.number() }).optional(),
  /** Of a paused workspace: `memory` within the grace time, return is instant; `disk` once sealed. */
  pausedIn: z.enum(["memory", "disk"]).optional(),
  /** Memory (never saved files) was lost since the user last worked: why, as an error code. Cleared by the next pause. */
  lostMemory: z.object({ code: z.string().max(64), atMs: z.number() }).optional(),
  /** Of a paused workspace: when its memory image is dropped. */
  stopsAtMs: z.number().optional(),
  /** Of a stopped workspace: when it is archived. */
  archivesAtMs: z.number().optional(),
  /** Of a disposable workspace: when it is erased, whatever state it is in. */
  expiresAtMs: z.number().optional(),
  operation: workspaceOperation.optional(),
  isolation,
  egress: egressPreset,
});
export type WorkspaceStatus = z.infer<typeof workspaceStatus>;
