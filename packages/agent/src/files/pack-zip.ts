import { constants } from "node:fs";
import { type FileHandle, lstat, open, opendir, readlink } from "node:fs/promises";
import type { MuxStream } from "@atoll/protocol/mux-stream";
import { errnoOf } from "../system/has-errno.ts";
import { GuestFolder } from "./guest-folder.ts";
import { ZipArchive } from "./zip-archive.ts";

const CHUNK_BYTES = 64 * 1024;
const OPEN_FLAGS = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW | constants.O_NOCTTY;
/** Folders open at once; deeper ones are left out and counted. */
const DEPTH_MAX = 200;
/** A name is two bytes of length in the format. */
const NAME_MAX_BYTES = 65_535;
/** Their records are kept until the end, some 200 bytes each. */
const ENTRIES_MAX = 400_000;

interface Walk {
  archive: ZipArchive;
  stream: MuxStream;
  skippedCount: number;
}

/** For people: files, folders and links as links, without owners. Stays in the file system of each path; answers what it left out. */
export async function packZip(options: {
  root: GuestFolder;
  paths: readonly string[];
  stream: MuxStream;
}): Promise<number> {
  const { root, paths, stream } = options;
  const archive = new ZipArchive((bytes) => stream.write(bytes));
  const walk: Walk = { archive, stream, skippedCount: 0 };
  for (const path of paths) {
    await skipFaults(walk, async () => {
      if (path === ".") return await packContent(root, Buffer.alloc(0), 0, walk);
      const names = path.split("/");
      const last = names.pop() as string;
      // Only folders on the way: a link that was put there since is not followed.
      const opened: GuestFolder[] = [root];
      try {
        for (const name of names) opened.push(await (opened.at(-1) as GuestFolder).open(name));
        const folder = opened.at(-1) as GuestFolder;
        await packEntry(folder, Buffer.from(last), Buffer.from(path), 0, walk);
      } finally {
        for (const folder of opened.slice(1)) await folder[Symbol.asyncDispose]();
      }
    });
  }
  await archive.finish();
  return walk.skippedCount;
}

async function packContent(folder: GuestFolder, prefix: Buffer, depth: number, walk: Walk): Promise<void> {
  // Names as bytes: what is not UTF-8 is packed as it is.
  for await (const { name } of await opendir(folder.path, { encoding: "buffer" as BufferEncoding })) {
    const bytes = name as unknown as Buffer;
    await skipFaults(walk, () => packEntry(folder, bytes, Buffer.concat([prefix, bytes]), depth, walk));
  }
}

async function packEntry(
  folder: GuestFolder,
  name: Buffer,
  path: Buffer,
  depth: number,
  walk: Walk,
): Promise<void> {
  const { archive } = walk;
  const place = Buffer.concat([Buffer.from(`${folder.path}/`), name]);
  const facts = await lstat(place);
  const entry = { name: path, mode: facts.mode, modifiedAtMs: facts.mtimeMs };
  const isTooMuch = depth >= DEPTH_MAX || path.length >= NAME_MAX_BYTES || archive.entryCount >= ENTRIES_MAX;
  if (isTooMuch) walk.skippedCount += 1;
  else if (facts.isSymbolicLink()) {
    await archive.add(entry, once(await readlink(place, { encoding: "buffer" })));
  } else if (facts.isDirectory()) {
    const name = Buffer.concat([path, Buffer.from("/")]);
    await archive.add({ ...entry, name }, nothing());
    await using below = await GuestFolder.at(place);
    // A mount is another file system: not part of what was asked for.
    const [here, there] = await Promise.all([folder.handle.stat(), below.handle.stat()]);
    if (here.dev === there.dev) await packContent(below, name, depth + 1, walk);
  } else if (facts.isFile()) {
    await using file = await open(place, OPEN_FLAGS);
    await archive.add(entry, contentOf(file));
  }
}

async function* contentOf(file: FileHandle): AsyncGenerator<Uint8Array> {
  for (let at = 0; ; ) {
    const { buffer, bytesRead } = await file.read(Buffer.allocUnsafeSlow(CHUNK_BYTES), 0, CHUNK_BYTES, at);
    if (bytesRead === 0) return;
    at += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

/** What the file system refuses is left out; anything else ends the archive. */
async function skipFaults(walk: Walk, run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch (cause) {
    if (walk.stream.isOver || errnoOf(cause)?.startsWith("E") !== true) throw cause;
    walk.skippedCount += 1;
  }
}
