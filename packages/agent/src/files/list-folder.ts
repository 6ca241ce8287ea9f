import { opendir } from "node:fs/promises";
import { DIRECTORY_ENTRIES_MAX, MESSAGE_MAX_BYTES } from "@atoll/protocol/limits";
import type { FileEntry } from "@atoll/protocol/messages/files";
import { hasErrno } from "../system/has-errno.ts";
import { readEntry, readEntryInPlace } from "./file-entry.ts";
import { findFolder, type GuestFolder, TEMPORARY_PREFIX } from "./guest-folder.ts";
import { hasOnlyLocalMounts } from "./local-mounts.ts";

/** Entries looked at before others get their turn; where threads look, side by side. */
const PARALLEL = 16;
/** JSON of an entry without its name, rounded up, so that a full listing fits one message. */
const ENTRY_JSON_BYTES = 200;

const decoder = new TextDecoder("utf-8", { fatal: true });

/** Entries in the folder's own order. Names that are not UTF-8 cannot be said on the wire and are left out. */
export async function listFolder(path: string): Promise<{ entries: FileEntry[]; isTruncated: boolean }> {
  await using folder = await findFolder(path);
  const { names, isTruncated } = await readNames(folder);
  // A lookup on a local disk takes microseconds, handing it to a thread and back far longer.
  const isInPlace = await hasOnlyLocalMounts();
  const entries: FileEntry[] = [];
  for (let at = 0; at < names.length; at += PARALLEL) {
    const batch = names
      .slice(at, at + PARALLEL)
      .map((name) => (isInPlace ? readEntryInPlace(folder, name) : undefined) ?? readIfThere(folder, name));
    for (const entry of await Promise.all(batch)) if (entry !== undefined) entries.push(entry);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return { entries, isTruncated };
}

async function readNames(folder: GuestFolder): Promise<{ names: string[]; isTruncated: boolean }> {
  const names: string[] = [];
  let bytes = 0;
  // Typed as text for every encoding, but with "buffer" a name is one.
  for await (const { name } of await opendir(folder.path, {
    encoding: "buffer" as BufferEncoding,
    bufferSize: 256,
  })) {
    const text = decodeName(name as unknown as Buffer);
    if (text === undefined || text.startsWith(TEMPORARY_PREFIX)) continue;
    bytes += ENTRY_JSON_BYTES + Buffer.byteLength(JSON.stringify(text));
    if (names.length >= DIRECTORY_ENTRIES_MAX || bytes > MESSAGE_MAX_BYTES)
      return { names, isTruncated: true };
    names.push(text);
  }
  return { names, isTruncated: false };
}

/** Undefined for bytes that are no UTF-8. */
export function decodeName(name: Uint8Array): string | undefined {
  try {
    return decoder.decode(name);
  } catch {
    return undefined;
  }
}

/** An entry deleted since its name was read is no error. */
async function readIfThere(folder: GuestFolder, name: string): Promise<FileEntry | undefined> {
  try {
    return await readEntry(folder, name);
  } catch (cause) {
    if (hasErrno(cause, "ENOENT")) return undefined;
    throw cause;
  }
}
