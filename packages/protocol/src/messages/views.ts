/**
 * A view is another workspace's disk, or an earlier state of one, seen through a machine that is nobody's: its disk is
 * attached beside the machine's own and mounted below VIEW_ROOT. Nobody boots it, nothing in it runs.
 */
import * as z from "zod";
import { channel, request } from "../message.ts";
import { guestPath } from "./files.ts";

/** Where a view's files begin in the viewing machine: the workspace's `/workspace` is `/view/workspace`. */
export const VIEW_ROOT = "/view";

/** Mounts the attached disk, replaying its journal into a throw-away layer and repairing what cannot be mounted. */
export const viewMount = request("view.mount", {
  callers: ["host"],
  params: z.object({}),
  result: z.object({
    /** The file system was damaged and the view shows what could be repaired. */
    isRepaired: z.boolean(),
  }),
});

/** Paths packed into one stream. DATA is the archive, END its end; names inside are relative to `root`. */
export const filesPack = channel("files.pack", {
  callers: ["session", "host"],
  params: z.object({
    root: guestPath,
    /** Relative to `root`; `.` is all of it. */
    paths: z.array(z.string().min(1).max(4096)).min(1).max(1000),
    /** `tar` keeps owners and modes and is what `files.unpack` takes; `zip` is for people. */
    format: z.enum(["tar", "zip"]),
  }),
  result: z.object({}),
  openerEvent: z.never(),
  /** Comes last; `skippedCount` entries could not be read. */
  acceptorEvent: z.object({ type: z.literal("packed"), skippedCount: z.number().int().nonnegative() }),
});

/** Unpacks the opener's DATA over what is there, as root, with the owners of the archive. */
export const filesUnpack = channel("files.unpack", {
  callers: ["host"],
  params: z.object({ root: guestPath }),
  result: z.object({}),
  openerEvent: z.never(),
  acceptorEvent: z.object({ type: z.literal("unpacked") }),
});

/** The largest folders and files below `path`, on its own file system, largest first. */
export const filesUsage = request("files.usage", {
  callers: ["session", "host"],
  params: z.object({ path: guestPath, depth: z.number().int().min(1).max(6) }),
  result: z.object({
    entries: z
      .array(z.object({ path: z.string(), sizeBytes: z.number().nonnegative(), isFolder: z.boolean() }))
      .max(200),
    diskTotalBytes: z.number().nonnegative(),
    diskFreeBytes: z.number().nonnegative(),
    /** There was more than could be looked through in the time. */
    isPartial: z.boolean().optional(),
  }),
});
