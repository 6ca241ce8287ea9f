/** The files of the machine, over whichever link is up. Every call fails with `link.lost` while none is. */
import { systemClock } from "@atoll/base/clock";
import { withDeadline } from "@atoll/base/with-deadline";
import { AtollError } from "@atoll/protocol/atoll-error";
import { call, openChannel } from "@atoll/protocol/call";
import { FILE_EDIT_MAX_BYTES } from "@atoll/protocol/limits";
import type { ResultOf } from "@atoll/protocol/message";
import {
  type FileEntry,
  filesCreate,
  filesDelete,
  filesList,
  filesRead,
  filesRename,
  filesStat,
  filesWrite,
} from "@atoll/protocol/messages/files";
import { filesUsage } from "@atoll/protocol/messages/views";
import type { Connection } from "../connection/connection.ts";

export type WriteExpectation = { version: string } | "absent" | "any";

const WRITE_TIMEOUT_MS = 60_000;
/** Counting a large tree on an emulated machine. */
const USAGE_TIMEOUT_MS = 120_000;

export class FileClient {
  readonly #connection: Pick<Connection, "link">;

  constructor(connection: Pick<Connection, "link">) {
    this.#connection = connection;
  }

  list(path: string): Promise<{ entries: FileEntry[]; isTruncated: boolean }> {
    const { mux, signal } = this.#connection.link;
    return call(mux, filesList, { path }, { signal });
  }

  stat(path: string): Promise<FileEntry> {
    const { mux, signal } = this.#connection.link;
    return call(mux, filesStat, { path }, { signal });
  }

  create(path: string, kind: "file" | "directory"): Promise<FileEntry> {
    const { mux, signal } = this.#connection.link;
    return call(mux, filesCreate, { path, kind, withParents: true }, { signal });
  }

  rename(from: string, to: string): Promise<FileEntry> {
    const { mux, signal } = this.#connection.link;
    return call(mux, filesRename, { from, to, overwrite: false }, { signal });
  }

  async delete(path: string): Promise<void> {
    const { mux, signal } = this.#connection.link;
    await call(mux, filesDelete, { path, recursive: true }, { signal });
  }

  /** The largest things below `path`, on its own file system. */
  usage(path: string, depth: number): Promise<ResultOf<typeof filesUsage>> {
    const { mux, signal } = this.#connection.link;
    return call(mux, filesUsage, { path, depth }, { signal, timeoutMs: USAGE_TIMEOUT_MS });
  }

  async read(path: string, maxBytes = FILE_EDIT_MAX_BYTES): Promise<{ entry: FileEntry; bytes: Uint8Array }> {
    const { mux, signal } = this.#connection.link;
    const channel = await openChannel(mux, filesRead, { path, maxBytes }, { signal });
    try {
      const bytes = new Uint8Array(channel.result.entry.sizeBytes);
      let at = 0;
      for await (const item of channel.items()) {
        if (item.kind !== "data") continue;
        if (at + item.bytes.length > bytes.length)
          throw new AtollError("link.protocol", "more than announced");
        bytes.set(item.bytes, at);
        at += item.bytes.length;
      }
      return { entry: channel.result.entry, bytes: bytes.subarray(0, at) };
    } finally {
      channel.stream.reset();
    }
  }

  /** Resolves when the new content has replaced the old on disk. */
  async write(path: string, bytes: Uint8Array, expect: WriteExpectation): Promise<FileEntry> {
    const { mux, signal } = this.#connection.link;
    const stream = mux.open(filesWrite.name, { path, sizeBytes: bytes.length, expect });
    try {
      // A refusal arrives while we still write; the reply says why, so the write's own failure is not news.
      stream.write(bytes).then(
        () => stream.end(),
        () => {},
      );
      const reply = await withDeadline(stream.reply, {
        timeoutMs: WRITE_TIMEOUT_MS,
        clock: systemClock,
        signal,
        onTimeout: () => new AtollError("request.timeout", "save got no answer"),
      });
      return filesWrite.result.parse(reply).entry;
    } finally {
      if (!stream.isOver) stream.reset(new AtollError("request.aborted"));
    }
  }
}
