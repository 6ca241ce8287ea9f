import * as z from "zod";
import { FILE_EDIT_MAX_BYTES, PATH_MAX_BYTES } from "../limits.ts";
import { channel, request } from "../message.ts";

/** Absolute guest path without NUL. `.` and `..` are refused by the agent, symlinks are followed component by component. */
export const guestPath = z
  .string()
  .min(1)
  .max(PATH_MAX_BYTES)
  .regex(/^\/[^\0]*$/);

/** Opaque; equal exactly when the file has not been written since. */
export const fileVersion = z.string().max(100);

export const fileKind = z.enum(["file", "directory", "symlink", "other"]);

export const fileEntry = z.object({
  name: z.string(),
  kind: fileKind,
  sizeBytes: z.number().nonnegative(),
  modifiedAtMs: z.number(),
  mode: z.number().int(),
  /** For a symlink: what it leads to, when that exists. */
  targetKind: fileKind.optional(),
  version: fileVersion,
});
export type FileEntry = z.infer<typeof fileEntry>;

export const filesList = request("files.list", {
  callers: ["session", "host"],
  params: z.object({ path: guestPath }),
  result: z.object({ entries: z.array(fileEntry), isTruncated: z.boolean() }),
});

export const filesStat = request("files.stat", {
  callers: ["session", "host"],
  params: z.object({ path: guestPath }),
  result: fileEntry,
});

/** DATA is the content as of `entry.version`, then END. A file that shrinks meanwhile ends early with stream.reset. */
export const filesRead = channel("files.read", {
  callers: ["session", "host"],
  params: z.object({
    path: guestPath,
    maxBytes: z.number().int().positive().max(FILE_EDIT_MAX_BYTES).optional(),
  }),
  result: z.object({ entry: fileEntry }),
  openerEvent: z.never(),
  acceptorEvent: z.never(),
});

/**
 * The opener sends `sizeBytes` of DATA and END; the reply comes after the new file has replaced the old one
 * (temporary file, fsync, rename). A stream that ends early leaves the old file untouched.
 */
export const filesWrite = channel("files.write", {
  callers: ["session", "host"],
  params: z.object({
    path: guestPath,
    sizeBytes: z.number().int().nonnegative().max(FILE_EDIT_MAX_BYTES),
    /** `version`: only over exactly this; `absent`: only if nothing is there; `any`: over whatever is there. */
    expect: z.union([z.object({ version: fileVersion }), z.literal("absent"), z.literal("any")]),
  }),
  result: z.object({ entry: fileEntry }),
  openerEvent: z.never(),
  acceptorEvent: z.never(),
});

/** Creates parents too when `withParents`. */
export const filesCreate = request("files.create", {
  callers: ["session", "host"],
  params: z.object({
    path: guestPath,
    kind: z.enum(["file", "directory"]),
    withParents: z.boolean().optional(),
  }),
  result: fileEntry,
});

export const filesRename = request("files.rename", {
  callers: ["session", "host"],
  params: z.object({ from: guestPath, to: guestPath, overwrite: z.boolean() }),
  result: fileEntry,
});

export const filesDelete = request("files.delete", {
  callers: ["session", "host"],
  params: z.object({ path: guestPath, recursive: z.boolean() }),
  result: z.object({}),
});

export const fileChange = z.object({ path: z.string(), kind: z.enum(["created", "changed", "deleted"]) });

/** Watches the named folders themselves (not below). `overflow`: changes were lost, list again. */
export const filesWatch = channel("files.watch", {
  callers: ["session", "host"],
  params: z.object({ paths: z.array(guestPath).max(1000) }),
  result: z.object({}),
  openerEvent: z.discriminatedUnion("type", [
    z.object({ type: z.literal("add"), path: guestPath }),
    z.object({ type: z.literal("remove"), path: guestPath }),
  ]),
  acceptorEvent: z.discriminatedUnion("type", [
    z.object({ type: z.literal("changes"), changes: z.array(fileChange) }),
    z.object({ type: z.literal("overflow") }),
    z.object({ type: z.literal("failed"), path: z.string(), code: z.string() }),
  ]),
});
