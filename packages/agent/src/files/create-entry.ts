import { constants } from "node:fs";
import { mkdir, open } from "node:fs/promises";
import { basename } from "node:path";
import { AtollError } from "@atoll/protocol/atoll-error";
import type { ParsedParamsOf } from "@atoll/protocol/message";
import type { FileEntry, filesCreate } from "@atoll/protocol/messages/files";
import { readEntry } from "./file-entry.ts";
import { findPlace, type GuestFolder } from "./guest-folder.ts";

/** The new entry belongs to whom its folder belongs. */
export async function createEntry(params: ParsedParamsOf<typeof filesCreate>): Promise<FileEntry> {
  await using place = await findPlace(params.path, {
    followLast: false,
    ...(params.withParents === true ? { onMissing: makeFolder } : {}),
  });
  if (place.isRoot) throw new AtollError("file.exists");
  if (params.kind === "directory") await makeFolder(place.folder, place.name);
  else await makeFile(place.folder, place.name);
  return { ...(await readEntry(place.folder, place.name)), name: basename(params.path) };
}

async function makeFile(folder: GuestFolder, name: string): Promise<void> {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  await using file = await open(folder.entry(name), flags, 0o644);
  const owner = await folder.handle.stat();
  await file.chown(owner.uid, owner.gid);
}

async function makeFolder(folder: GuestFolder, name: string): Promise<void> {
  await mkdir(folder.entry(name), 0o755);
  const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
  await using made = await open(folder.entry(name), flags);
  const [facts, owner] = await Promise.all([made.stat(), folder.handle.stat()]);
  // Another one's folder may have been put in its place meanwhile: only one of our own is given away.
  if (facts.uid === process.getuid?.()) await made.chown(owner.uid, owner.gid);
}
