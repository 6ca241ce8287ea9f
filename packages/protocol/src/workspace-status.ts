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
]);
export type StateReason = z.infer<typeof stateReason>;

/** Steps of one start, in order; `index` only grows within one generation. */
export const startStage = z.object({
  path: z.enum(["create", "resume", "boot"]),
  name: z.enum(["reserve", "restore", "identity", "ready"]),
  index: z.number().int().nonnegative(),
  total: z.number().int().positive(),
  startedAtMs: z.number(),
  /** What this stage usually takes on this host, when it is known. */
  typicalMs: z.number().nonnegative().optional(),
});
export type StartStage = z.infer<typeof startStage>;

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
  startedBy: z.enum(["create", "resume", "boot"]).optional(),
  sessionCount: z.number().int().nonnegative(),
  /** Set while no session is open and the pause is counting down. */
  pausesAtMs: z.number().optional(),
  isolation,
  egress: egressPreset,
});
export type WorkspaceStatus = z.infer<typeof workspaceStatus>;
