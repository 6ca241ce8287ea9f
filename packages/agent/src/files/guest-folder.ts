/**
 * A place in the guest's file tree, found by walking component by component with open directories. Everything is
 * named relative to an open directory (`/proc/self/fd/N/name`, which is openat for Node) and nothing but this file
 * follows a symlink, so a link swapped between check and use leads an operation nowhere else.
 */

import { constants, statSync } from "node:fs";
import { type FileHandle, open, readlink } from "node:fs/promises";
import { AtollError } from "@atoll/protocol/atoll-error";
import { hasErrno } from "../system/has-errno.ts";

/** Linux's own limit for one path. */
const SYMLINKS_MAX = 40;
const NAME_MAX_BYTES = 255;
/** A path may be followed through links into more components than it names itself. */
const COMPONENTS_MAX = 4096;
const O_PATH = 0o10000000;

/** Names of temporary files of ours: never shown, never taken. */
export const TEMPORARY_PREFIX = ".atoll-tmp-";

/** The kernel's file systems are no place for an editor: reading there blocks, acts, or never ends. */
const KERNEL_FOLDERS = ["proc", "sys", "dev"];
let kernelDevices: ReadonlySet<number> | undefined;

/** An open directory. */
export class GuestFolder implements AsyncDisposable {
  readonly #handle: FileHandle;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  /** For system calls on the directory itself. */
  get path(): string {
    return `/proc/self/fd/${this.#handle.fd}`;
  }

  get handle(): FileHandle {
    return this.#handle;
  }

  /** For system calls on an entry; none of them may follow a symlink in its last component. */
  entry(name: string): string {
    return `${this.path}/${name}`;
  }

  /** The directory `name` in here, itself and no link to it. */
  open(name: string): Promise<GuestFolder> {
    return GuestFolder.at(this.entry(name));
  }

  /** `path` is an entry of an open folder. */
  static async at(path: string | Buffer): Promise<GuestFolder> {
    return new GuestFolder(await open(path, O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW));
  }

  /** @throws AtollError file.denied when this lies in a file system of the kernel, under whatever name. */
  async refuseKernel(): Promise<void> {
    kernelDevices ??= findKernelDevices();
    if (kernelDevices.has((await this.#handle.stat()).dev)) throw new AtollError("file.denied");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close();
  }
}

/** An entry that may or may not exist, in a directory that does. The root is the entry "." of itself. */
export class GuestPlace implements AsyncDisposable {
  readonly folder: GuestFolder;
  readonly name: string;

  constructor(folder: GuestFolder, name: string) {
    this.folder = folder;
    this.name = name;
  }

  get path(): string {
    return this.folder.entry(this.name);
  }

  get isRoot(): boolean {
    return this.name === ".";
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.folder[Symbol.asyncDispose]();
  }
}

export interface FindOptions {
  /** Whether a symlink as the last component stands for what it leads to. */
  followLast: boolean;
  /** Called for a folder on the way that is missing; makes it or throws. */
  onMissing?: (folder: GuestFolder, name: string) => Promise<void>;
}

/** @throws AtollError file.* or a system call's error. The caller disposes of the place. */
export async function findPlace(path: string, options: FindOptions): Promise<GuestPlace> {
  const pending = splitPath(path);
  const opened: GuestFolder[] = [await openRoot()];
  let linksLeft = SYMLINKS_MAX;
  let componentsLeft = COMPONENTS_MAX;
  try {
    for (;;) {
      const folder = opened.at(-1) as GuestFolder;
      const name = pending.shift();
      // Only the root, or a link that ends in `..`, leads here.
      if (name === undefined) return await finish(opened, ".");
      if (--componentsLeft < 0) throw new AtollError("file.name_invalid", "too many components");
      if (name === "..") {
        if (opened.length > 1) await opened.pop()?.[Symbol.asyncDispose]();
        continue;
      }
      if (opened.length === 1 && KERNEL_FOLDERS.includes(name)) throw new AtollError("file.denied");
      const isLast = pending.length === 0;
      if (isLast && !options.followLast) return await finish(opened, name);
      if (!isLast) {
        const next = await openUnlessLink(folder, name, options);
        if (next !== undefined) {
          opened.push(next);
          continue;
        }
      }
      const target = await readlinkIfLink(folder, name);
      if (target === undefined) {
        if (isLast) return await finish(opened, name);
        throw new AtollError("file.not_directory");
      }
      if (--linksLeft < 0) throw new AtollError("file.not_found", "too many symlinks");
      if (target.startsWith("/")) for (const above of opened.splice(1)) await above[Symbol.asyncDispose]();
      pending.unshift(...target.split("/").filter((part) => part !== "" && part !== "."));
    }
  } catch (error) {
    for (const folder of opened) await folder[Symbol.asyncDispose]();
    throw error;
  }
}

/** The directory at `path`. The caller disposes of it. */
export async function findFolder(path: string): Promise<GuestFolder> {
  await using place = await findPlace(path, { followLast: true });
  const folder = await place.folder.open(place.name);
  try {
    await folder.refuseKernel();
    return folder;
  } catch (error) {
    await folder[Symbol.asyncDispose]();
    throw error;
  }
}

/** Not before it is needed: this module is evaluated where the image is built, and numbered there are other devices. */
function findKernelDevices(): ReadonlySet<number> {
  const devices = new Set(KERNEL_FOLDERS.map((name) => statSync(`/${name}`).dev));
  devices.delete(statSync("/").dev);
  return devices;
}

function splitPath(path: string): string[] {
  // A lone surrogate would reach the disk as another name than the caller's.
  if (!path.startsWith("/") || !path.isWellFormed()) throw new AtollError("file.name_invalid");
  const names = path.split("/").filter((part) => part !== "");
  for (const name of names) checkName(name);
  return names;
}

function checkName(name: string): void {
  const isBad =
    name === "." ||
    name === ".." ||
    name.includes("\0") ||
    name.startsWith(TEMPORARY_PREFIX) ||
    Buffer.byteLength(name) > NAME_MAX_BYTES;
  if (isBad) throw new AtollError("file.name_invalid", undefined, { details: { name: name.slice(0, 255) } });
}

function openRoot(): Promise<GuestFolder> {
  return GuestFolder.at("/");
}

async function readlinkIfLink(folder: GuestFolder, name: string): Promise<string | undefined> {
  try {
    return await readlink(folder.entry(name));
  } catch (cause) {
    // EINVAL: not a link. Absent entries are found out by whoever needs them.
    if (hasErrno(cause, "EINVAL", "ENOENT")) return undefined;
    throw cause;
  }
}

/** Undefined when the entry is no directory, so perhaps a link to one. */
async function openUnlessLink(
  folder: GuestFolder,
  name: string,
  options: FindOptions,
): Promise<GuestFolder | undefined> {
  try {
    return await folder.open(name);
  } catch (cause) {
    if (hasErrno(cause, "ENOTDIR", "ELOOP")) return undefined;
    if (options.onMissing === undefined || !hasErrno(cause, "ENOENT")) throw cause;
    await options.onMissing(folder, name);
    return folder.open(name);
  }
}

/** Takes the last directory over; the others are closed. */
async function finish(opened: GuestFolder[], name: string): Promise<GuestPlace> {
  const folder = opened.at(-1) as GuestFolder;
  await folder.refuseKernel();
  opened.pop();
  for (const above of opened.splice(0)) await above[Symbol.asyncDispose]();
  return new GuestPlace(folder, name);
}
