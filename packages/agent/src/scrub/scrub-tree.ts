import { constants } from "node:fs";
import { type FileHandle, open, opendir, rmdir, unlink } from "node:fs/promises";
import { emptyFolder } from "../files/delete-entry.ts";
import { GuestFolder } from "../files/guest-folder.ts";
import { hasErrno } from "../system/has-errno.ts";
import { ruleFor, type ScrubRule } from "./scrub-rules.ts";

export interface ScrubbedFile {
  path: string;
  rule: string;
}

export interface ScrubResult {
  /** The first ones, in the order they were found. */
  files: ScrubbedFile[];
  count: number;
}

const FILES_MAX = 1000;
const PATH_SHOWN_MAX = 1024;
/** Folders open at once, two for each level. What lies deeper cannot be looked at and is removed. */
const DEPTH_MAX = 200;
/** Text files of people are smaller; a larger one under such a name is removed whole. */
const EDIT_MAX_BYTES = 1024 * 1024;
const HEAD_BYTES = 64 * 1024;
/** Of one removed file, so much is overwritten in place; the rest goes with all other free blocks (clear-free-blocks.ts). */
const OVERWRITE_MAX_BYTES = 4 * 1024 * 1024;
const READ_FLAGS = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW | constants.O_NOCTTY;
const WRITE_FLAGS = constants.O_RDWR | constants.O_NONBLOCK | constants.O_NOFOLLOW | constants.O_NOCTTY;
const ZEROS = Buffer.alloc(64 * 1024);

/** The same folder twice: as the user's own layer has it, and as the machine's tree does, where changes are made. */
interface Pair {
  layer: GuestFolder;
  live: GuestFolder;
  /** Relative to the root; empty for the root. */
  path: string;
  depth: number;
}

/**
 * Looks through all that users made and removes or empties what the rules name. No link is followed: every step is an
 * open folder and a name in it.
 */
export async function scrubTree(options: { layer: string; live: string }): Promise<ScrubResult> {
  const result: ScrubResult = { files: [], count: 0 };
  await using layer = await GuestFolder.at(options.layer);
  await using live = await GuestFolder.at(options.live);
  await scrubFolder({ layer, live, path: "", depth: 0 }, result);
  return result;
}

async function scrubFolder(pair: Pair, result: ScrubResult): Promise<void> {
  const { layer, live, path, depth } = pair;
  const entries: Array<{ name: Buffer; isFolder: boolean }> = [];
  for await (const entry of await opendir(layer.path, { encoding: "buffer" as BufferEncoding })) {
    const isFolder = entry.isDirectory();
    // A device is how the layer notes that something of the image was removed.
    if (isFolder || entry.isFile() || entry.isSymbolicLink()) {
      entries.push({ name: entry.name as unknown as Buffer, isFolder });
    }
  }
  for (const { name, isFolder } of entries) {
    const text = `${path}${name.toString("utf8")}`;
    const rule = ruleFor(isFolder ? `${text}/` : text);
    if (rule !== undefined && (await apply(rule, live, name, isFolder))) note(result, text, rule.name);
    else if (isFolder && rule === undefined) {
      if (depth >= DEPTH_MAX) {
        await removeFolder(live, name);
        note(result, text, "too-deep");
        continue;
      }
      await using below = await GuestFolder.at(at(layer, name));
      await using liveBelow = await openIfThere(at(live, name));
      if (liveBelow === undefined) continue;
      await scrubFolder({ layer: below, live: liveBelow, path: `${text}/`, depth: depth + 1 }, result);
    }
  }
}

/** False: the rule turned out not to apply. */
async function apply(rule: ScrubRule, live: GuestFolder, name: Buffer, isFolder: boolean): Promise<boolean> {
  if (isFolder) return rule.keepsFolder === true ? await empty(live, name) : await removeFolder(live, name);
  await using file = await openIfFile(at(live, name));
  if (file !== undefined) {
    if (rule.contains !== undefined && !rule.contains.test(await head(file))) return false;
    if (rule.edit !== undefined && (await file.stat()).size <= EDIT_MAX_BYTES)
      return await edit(file, rule.edit);
    await overwrite(file);
  } else if (rule.contains !== undefined || rule.edit !== undefined) {
    // A link's own text says nothing that such a rule looks for.
    return false;
  }
  return await removeFile(live, name);
}

/** False when nothing had to go. */
async function edit(file: FileHandle, change: (text: string) => string): Promise<boolean> {
  const before = await file.readFile("latin1");
  const after = change(before);
  if (after === before) return false;
  await overwrite(file);
  await file.truncate(0);
  await file.write(Buffer.from(after, "latin1"), 0, undefined, 0);
  await file.sync();
  return true;
}

/** What is freed can still be read from the disk below it: zeros first, in the same blocks. */
async function overwrite(file: FileHandle): Promise<void> {
  const facts = await file.stat();
  if (facts.nlink > 1) return;
  const sizeBytes = Math.min(facts.size, OVERWRITE_MAX_BYTES);
  for (let at = 0; at < sizeBytes; at += ZEROS.length) {
    await file.write(ZEROS, 0, Math.min(ZEROS.length, sizeBytes - at), at);
  }
  if (sizeBytes > 0) await file.sync();
}

async function removeFile(live: GuestFolder, name: Buffer): Promise<boolean> {
  try {
    await unlink(at(live, name));
    return true;
  } catch (cause) {
    if (hasErrno(cause, "ENOENT")) return false;
    throw cause;
  }
}

async function removeFolder(live: GuestFolder, name: Buffer): Promise<boolean> {
  await using folder = await openIfThere(at(live, name));
  if (folder === undefined) return false;
  await overwriteAll(folder, 0);
  await emptyFolder(folder);
  await rmdir(at(live, name));
  return true;
}

/** False when there was nothing in it. */
async function empty(live: GuestFolder, name: Buffer): Promise<boolean> {
  await using folder = await openIfThere(at(live, name));
  if (folder === undefined) return false;
  await overwriteAll(folder, 0);
  return (await emptyFolder(folder)) > 0;
}

async function overwriteAll(folder: GuestFolder, depth: number): Promise<void> {
  for await (const entry of await opendir(folder.path, { encoding: "buffer" as BufferEncoding })) {
    const path = at(folder, entry.name as unknown as Buffer);
    if (entry.isFile()) {
      await using file = await openIfFile(path);
      if (file !== undefined) await overwrite(file);
    } else if (entry.isDirectory() && depth < DEPTH_MAX) {
      await using below = await openIfThere(path);
      if (below !== undefined) await overwriteAll(below, depth + 1);
    }
  }
}

async function head(file: FileHandle): Promise<string> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
  return buffer.toString("latin1", 0, bytesRead);
}

/** Undefined for what is a link, or anything else but a file. */
async function openIfFile(path: Buffer): Promise<FileHandle | undefined> {
  try {
    const file = await open(path, WRITE_FLAGS).catch((cause: unknown) => {
      // A file that is being run can be read and removed, not written.
      if (hasErrno(cause, "ETXTBSY")) return open(path, READ_FLAGS);
      throw cause;
    });
    if ((await file.stat()).isFile()) return file;
    await file.close();
    return undefined;
  } catch (cause) {
    if (hasErrno(cause, "ELOOP", "ENOENT", "ENXIO", "EISDIR")) return undefined;
    throw cause;
  }
}

/** Undefined for what is no folder in the machine's tree. */
async function openIfThere(path: Buffer): Promise<GuestFolder | undefined> {
  try {
    return await GuestFolder.at(path);
  } catch (cause) {
    if (hasErrno(cause, "ENOENT", "ENOTDIR", "ELOOP")) return undefined;
    throw cause;
  }
}

function at(folder: GuestFolder, name: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${folder.path}/`), name]);
}

function note(result: ScrubResult, path: string, rule: string): void {
  result.count += 1;
  if (result.files.length < FILES_MAX) result.files.push({ path: `/${path}`.slice(0, PATH_SHOWN_MAX), rule });
}
