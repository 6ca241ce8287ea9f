import { basename } from "node:path";
import type { FileEntry } from "@atoll/protocol/messages/files";
import { readEntry } from "./file-entry.ts";
import { findPlace } from "./guest-folder.ts";

/** The entry itself: of a symlink the link, with the kind of what it leads to. */
export async function statPath(path: string): Promise<FileEntry> {
  await using place = await findPlace(path, { followLast: false });
  return { ...(await readEntry(place.folder, place.name)), name: basename(path) };
}
