import { type BigIntStats, constants } from "node:fs";
import { type FileHandle, link, open, rename, unlink } from "node:fs/promises";
import { basename } from "node:path";
import { AtollError } from "@atoll/protocol/atoll-error";
import type { ParsedParamsOf } from "@atoll/protocol/message";
import type { FileEntry, filesWrite } from "@atoll/protocol/messages/files";
import type { MuxStream } from "@atoll/protocol/mux-stream";
import { hasErrno } from "../system/has-errno.ts";
import { randomName } from "../system/random-name.ts";
import { entryOf, lookAt, versionOf } from "./file-entry.ts";
import { findPlace, type GuestPlace, TEMPORARY_PREFIX } from "./guest-folder.ts";
import { withTurn } from "./place-turn.ts";

const NEW_FILE_MODE = 0o644;
type Expect = ParsedParamsOf<typeof filesWrite>["expect"];

/**
 * Replaces a file whole: temporary file beside it, fsync, the last look at the version, rename, fsync of the folder.
 * A reader sees the old or the new content. Hard links to the old file and its extended attributes are not carried over.
 */
export async function writeFile(params: ParsedParamsOf<typeof filesWrite>, stream: MuxStream): Promise<void> {
  await using place = await findPlace(params.path, { followLast: true });
  if (place.isRoot) throw new AtollError("file.is_directory");
  const old = await lookAt(place);
  checkExpected(old, params.expect);
  const temporary = new TemporaryFile(place);
  try {
    await using file = await temporary.open();
    await receive(file, params.sizeBytes, stream);
    await takeAttributes(file, place, old);
    await file.sync();
    const entry = await withTurn(place, async () => {
      await commit(temporary, place, params.expect);
      return entryOf(basename(params.path), await file.stat({ bigint: true }));
    });
    stream.sendReply({ entry } satisfies { entry: FileEntry });
  } finally {
    await temporary.remove();
  }
}

class TemporaryFile {
  readonly path: string;
  #isThere = false;

  constructor(place: GuestPlace) {
    this.path = place.folder.entry(`${TEMPORARY_PREFIX}${randomName(8)}`);
  }

  async open(): Promise<FileHandle> {
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    const file = await open(this.path, flags, 0o600);
    this.#isThere = true;
    return file;
  }

  async moveTo(target: string): Promise<void> {
    await rename(this.path, target);
    this.#isThere = false;
  }

  async remove(): Promise<void> {
    if (!this.#isThere) return;
    this.#isThere = false;
    await unlink(this.path).catch(() => {
      // Its folder is gone, and it with it.
    });
  }
}

async function receive(file: FileHandle, sizeBytes: number, stream: MuxStream): Promise<void> {
  let received = 0;
  for await (const item of stream) {
    if (item.kind !== "data") throw new AtollError("request.invalid", "no events are expected");
    received += item.bytes.length;
    if (received > sizeBytes) throw new AtollError("request.invalid", "more bytes than announced");
    for (let at = 0; at < item.bytes.length; ) {
      at += (await file.write(item.bytes, at, item.bytes.length - at)).bytesWritten;
    }
  }
  if (received < sizeBytes) throw new AtollError("request.invalid", "fewer bytes than announced");
}

/** Owner and mode of the old file; a new one belongs to whom its folder belongs. */
async function takeAttributes(
  file: FileHandle,
  place: GuestPlace,
  old: BigIntStats | undefined,
): Promise<void> {
  const owner = old ?? (await place.folder.handle.stat({ bigint: true }));
  await file.chown(Number(owner.uid), Number(owner.gid));
  // Set-uid on changed content is never kept; the kernel drops it at a write as well.
  await file.chmod(old === undefined ? NEW_FILE_MODE : Number(old.mode & 0o777n));
}

async function commit(temporary: TemporaryFile, place: GuestPlace, expect: Expect): Promise<void> {
  if (expect === "absent") {
    // A link fails where something is; a rename would replace it.
    await link(temporary.path, place.path).catch((cause: unknown) => {
      throw hasErrno(cause, "EEXIST") ? new AtollError("file.exists") : cause;
    });
    await temporary.remove();
  } else {
    checkExpected(await lookAt(place), expect);
    await temporary.moveTo(place.path);
  }
  await syncFolder(place);
}

function checkExpected(facts: BigIntStats | undefined, expect: Expect): void {
  if (facts?.isDirectory()) throw new AtollError("file.is_directory");
  if (facts !== undefined && !facts.isFile()) throw new AtollError("file.not_regular");
  if (expect === "any") return;
  if (expect === "absent") {
    if (facts !== undefined) throw new AtollError("file.exists");
  } else if (facts === undefined || versionOf(facts) !== expect.version) {
    throw new AtollError("file.conflict");
  }
}

async function syncFolder(place: GuestPlace): Promise<void> {
  await using folder = await open(place.folder.path, constants.O_RDONLY | constants.O_DIRECTORY);
  await folder.sync();
}
