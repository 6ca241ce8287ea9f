import { type BigIntStats, lstatSync } from "node:fs";
import { lstat, stat } from "node:fs/promises";
import type { FileEntry, fileKind } from "@atoll/protocol/messages/files";
import type { z } from "zod";
import type { GuestFolder, GuestPlace } from "./guest-folder.ts";

type FileKind = z.infer<typeof fileKind>;

function kindOf(facts: BigIntStats): FileKind {
  if (facts.isFile()) return "file";
  if (facts.isDirectory()) return "directory";
  return facts.isSymbolicLink() ? "symlink" : "other";
}

/** Inode, size and time of the last write. Not the change time: `chmod` is no new content. */
export function versionOf(facts: BigIntStats): string {
  return `${facts.ino.toString(36)}-${facts.size.toString(36)}-${facts.mtimeNs.toString(36)}`;
}

export function entryOf(name: string, facts: BigIntStats): FileEntry {
  return {
    name,
    kind: kindOf(facts),
    sizeBytes: Number(facts.size),
    modifiedAtMs: Number(facts.mtimeMs),
    mode: Number(facts.mode & 0o7777n),
    version: versionOf(facts),
  };
}

/** A directory's entry as it is, a symlink not followed; its target's kind is only looked at. */
export async function readEntry(folder: GuestFolder, name: string): Promise<FileEntry> {
  const entry = entryOf(name, await lstat(folder.entry(name), { bigint: true }));
  if (entry.kind !== "symlink") return entry;
  try {
    return { ...entry, targetKind: kindOf(await stat(folder.entry(name), { bigint: true })) };
  } catch {
    return entry;
  }
}

/** The same without a thread; undefined for a symlink, which may lead anywhere, and when nothing is there. */
export function readEntryInPlace(folder: GuestFolder, name: string): FileEntry | undefined {
  const facts = lstatSync(folder.entry(name), { bigint: true, throwIfNoEntry: false });
  return facts === undefined || facts.isSymbolicLink() ? undefined : entryOf(name, facts);
}

/** Undefined when nothing is there. */
export async function lookAt(place: GuestPlace): Promise<BigIntStats | undefined> {
  try {
    return await lstat(place.path, { bigint: true });
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return undefined;
    throw cause;
  }
}
