import { link, mkdir, rename, rmdir, unlink } from "node:fs/promises";
import { basename } from "node:path";
import { AtollError } from "@atoll/protocol/atoll-error";
import type { ParsedParamsOf } from "@atoll/protocol/message";
import type { FileEntry, filesRename } from "@atoll/protocol/messages/files";
import { hasErrno } from "../system/has-errno.ts";
import { lookAt, readEntry } from "./file-entry.ts";
import { findPlace, type GuestPlace } from "./guest-folder.ts";
import { withTurn } from "./place-turn.ts";

/** Moves the entry itself, a symlink as a link. Without `overwrite` nothing that is there is ever replaced. */
export async function renameEntry(params: ParsedParamsOf<typeof filesRename>): Promise<FileEntry> {
  await using from = await findPlace(params.from, { followLast: false });
  await using to = await findPlace(params.to, { followLast: false });
  if (from.isRoot || to.isRoot) throw new AtollError("file.denied");
  await withTurn(to, () => (params.overwrite ? replace(from, to) : move(from, to)));
  return { ...(await readEntry(to.folder, to.name)), name: basename(params.to) };
}

async function replace(from: GuestPlace, to: GuestPlace): Promise<void> {
  await rename(from.path, to.path).catch((cause: unknown) => {
    throw intoItself(cause);
  });
}

/** Node has no rename that refuses to replace: a link and an empty folder are the two things that fail where something is. */
async function move(from: GuestPlace, to: GuestPlace): Promise<void> {
  const facts = await lookAt(from);
  if (facts === undefined) throw new AtollError("file.not_found");
  if (!facts.isDirectory()) {
    await link(from.path, to.path);
    await unlink(from.path);
    return;
  }
  await mkdir(to.path, 0o700);
  try {
    await rename(from.path, to.path);
  } catch (cause) {
    await rmdir(to.path).catch(() => {
      // Something was put into it meanwhile: then it is not ours any more.
    });
    throw hasErrno(cause, "ENOTEMPTY", "EEXIST") ? new AtollError("file.exists") : intoItself(cause);
  }
}

function intoItself(cause: unknown): unknown {
  return hasErrno(cause, "EINVAL")
    ? new AtollError("file.name_invalid", "a folder cannot move into itself", { cause })
    : cause;
}
