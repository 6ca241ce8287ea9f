import { opendir, rename, rmdir, unlink } from "node:fs/promises";
import { AtollError } from "@atoll/protocol/atoll-error";
import { hasErrno } from "../system/has-errno.ts";
import { randomName } from "../system/random-name.ts";
import { lookAt } from "./file-entry.ts";
import { findPlace, GuestFolder, TEMPORARY_PREFIX } from "./guest-folder.ts";

/** Open folders at once; deeper ones are moved up to the top first. */
const DEPTH_MAX = 64;
/** Each round takes 64 levels: enough for any tree that was not made while it is being deleted. */
const ROUNDS_MAX = 1000;

/** Never follows a symlink and never leaves the file system of what is deleted. */
export async function deleteEntry(path: string, options: { recursive: boolean }): Promise<void> {
  await using place = await findPlace(path, { followLast: false });
  if (place.isRoot) throw new AtollError("file.denied");
  const facts = await lookAt(place);
  if (facts === undefined) throw new AtollError("file.not_found");
  if (!facts.isDirectory()) return await unlink(place.path);
  if (options.recursive) {
    await using top = await place.folder.open(place.name);
    await emptyFolder(top);
  }
  await rmdir(place.path);
}

/** Removes all that is in a folder, under the same rules. Answers how many entries of its own it had. */
export async function emptyFolder(top: GuestFolder): Promise<number> {
  const { dev } = await top.handle.stat();
  const descent: Descent = { top, depth: 0, dev, moved: { count: 0 } };
  let entryCount = 0;
  for (let round = 0, movedBefore = -1; movedBefore < descent.moved.count && round < ROUNDS_MAX; round++) {
    movedBefore = descent.moved.count;
    const count = await empty(top, descent);
    if (round === 0) entryCount = count;
  }
  return entryCount;
}

interface Descent {
  top: GuestFolder;
  depth: number;
  dev: number;
  /** Folders moved up to the top, for another round. */
  moved: { count: number };
}

/** A folder that others keep filling ends in ENOTEMPTY at its removal, not in a loop. */
async function empty(folder: GuestFolder, descent: Descent): Promise<number> {
  let entryCount = 0;
  // Names as bytes: what is not UTF-8 must go as well.
  for await (const { name } of await opendir(folder.path, { encoding: "buffer" as BufferEncoding })) {
    entryCount += 1;
    const path = Buffer.concat([Buffer.from(`${folder.path}/`), name as unknown as Buffer]);
    if (await unlinkIfNoFolder(path)) continue;
    if (descent.depth >= DEPTH_MAX) {
      await rename(path, descent.top.entry(`${TEMPORARY_PREFIX}${randomName(8)}`));
      descent.moved.count++;
      continue;
    }
    await using below = await GuestFolder.at(path);
    if ((await below.handle.stat()).dev !== descent.dev)
      throw new AtollError("file.denied", "a mount lies in it");
    await empty(below, { ...descent, depth: descent.depth + 1 });
    await removeFolder(path);
  }
  return entryCount;
}

/** False: it is a folder. Gone already is as good as deleted. */
async function unlinkIfNoFolder(path: Buffer): Promise<boolean> {
  try {
    await unlink(path);
    return true;
  } catch (cause) {
    if (hasErrno(cause, "ENOENT")) return true;
    if (hasErrno(cause, "EISDIR")) return false;
    throw cause;
  }
}

async function removeFolder(path: Buffer): Promise<void> {
  await rmdir(path).catch((cause: unknown) => {
    if (!hasErrno(cause, "ENOENT")) throw cause;
  });
}
