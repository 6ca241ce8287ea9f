import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { basename } from "node:path";
import { AtollError } from "@atoll/protocol/atoll-error";
import { FILE_EDIT_MAX_BYTES } from "@atoll/protocol/limits";
import type { ParsedParamsOf } from "@atoll/protocol/message";
import type { filesRead } from "@atoll/protocol/messages/files";
import type { MuxStream } from "@atoll/protocol/mux-stream";
import { entryOf } from "./file-entry.ts";
import { findPlace } from "./guest-folder.ts";

const CHUNK_BYTES = 64 * 1024;

/** Never waits for a FIFO or a device: what is no ordinary file is opened without blocking, seen, and closed. */
const OPEN_FLAGS = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW | constants.O_NOCTTY;

export async function readFile(params: ParsedParamsOf<typeof filesRead>, stream: MuxStream): Promise<void> {
  await using place = await findPlace(params.path, { followLast: true });
  await using file = await open(place.path, OPEN_FLAGS);
  const facts = await file.stat({ bigint: true });
  if (facts.isDirectory()) throw new AtollError("file.is_directory");
  if (!facts.isFile()) throw new AtollError("file.not_regular");
  const entry = entryOf(basename(params.path), facts);
  const limit = params.maxBytes ?? FILE_EDIT_MAX_BYTES;
  if (entry.sizeBytes > limit) {
    throw new AtollError("file.too_large", undefined, { details: { limit, sizeBytes: entry.sizeBytes } });
  }
  stream.sendReply({ entry });
  for (let at = 0; at < entry.sizeBytes; ) {
    const size = Math.min(CHUNK_BYTES, entry.sizeBytes - at);
    const { buffer, bytesRead } = await file.read(Buffer.allocUnsafeSlow(size), 0, size, at);
    if (bytesRead === 0) throw new AtollError("stream.reset", "the file shrank while it was read");
    at += bytesRead;
    await stream.write(buffer.subarray(0, bytesRead));
  }
  const after = entryOf(entry.name, await file.stat({ bigint: true }));
  // A file that only grew is a log: what was read of it is its beginning still.
  if (after.version !== entry.version && after.sizeBytes <= entry.sizeBytes) {
    throw new AtollError("stream.reset", "the file changed while it was read");
  }
}
