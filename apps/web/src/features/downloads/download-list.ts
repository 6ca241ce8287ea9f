/** Downloads of this page, each with its progress; files as they are, folders as a zip packed in the machine. */
import { AtollError, toAtollError } from "@atoll/protocol/atoll-error";
import { openChannel } from "@atoll/protocol/call";
import { filesRead } from "@atoll/protocol/messages/files";
import { filesPack } from "@atoll/protocol/messages/views";
import type { Connection } from "../connection/connection.ts";
import { baseName, parentPath } from "../files/guest-path.ts";
import { ModelState } from "../model-state.ts";
import type { DownloadSink, OpenSink } from "./download-sink.ts";

export interface Download {
  id: number;
  name: string;
  receivedBytes: number;
  /** Undefined while packing: nobody knows before the end. */
  totalBytes: number | undefined;
  phase: "running" | "done" | "cancelled" | "failed";
  error: AtollError | undefined;
  /** Entries of a folder that could not be read and are not in the zip. */
  skippedCount: number;
}

interface Source {
  items: () => AsyncGenerator<Chunk>;
  stop: () => void;
  totalBytes: number | undefined;
}
type Chunk =
  | { kind: "data"; bytes: Uint8Array }
  | { kind: "event"; value: { type: "packed"; skippedCount: number } };

/** Progress is redrawn this often at most. */
const REDRAW_BYTES = 256 * 1024;

export class DownloadList {
  readonly state = new ModelState<{ downloads: Download[] }>({ downloads: [] });
  readonly #connection: Pick<Connection, "link">;
  readonly #openSink: OpenSink;
  readonly #running = new Map<number, AbortController>();
  #lastId = 0;

  constructor(options: { connection: Pick<Connection, "link">; openSink: OpenSink }) {
    this.#connection = options.connection;
    this.#openSink = options.openSink;
  }

  /** A file as it is. Settles when it is over, however it ended. */
  file(path: string): Promise<void> {
    const name = baseName(path);
    return this.#run(name, async (signal) => {
      const { mux } = this.#connection.link;
      const channel = await openChannel(mux, filesRead, { path }, { signal });
      const source: Source = {
        items: () => channel.items() as AsyncGenerator<Chunk>,
        stop: () => channel.stream.reset(),
        totalBytes: channel.result.entry.sizeBytes,
      };
      const sink = await this.#openSink(name, source.totalBytes).catch((error: unknown) => {
        source.stop();
        throw error;
      });
      if (!sink) source.stop();
      return sink && { sink, source };
    });
  }

  /** A folder as a zip that unpacks into one folder of its name. */
  zip(path: string, name: string): Promise<void> {
    return this.#run(name, async (signal) => {
      // The dialog first: browsers allow it only shortly after the click.
      const sink = await this.#openSink(name, undefined);
      if (!sink) return undefined;
      try {
        const { mux } = this.#connection.link;
        const isTop = path === "/" || parentPath(path) === "/";
        const params = isTop
          ? { root: path, paths: ["."] }
          : { root: parentPath(path), paths: [baseName(path)] };
        const channel = await openChannel(mux, filesPack, { ...params, format: "zip" }, { signal });
        const items = () => channel.items() as AsyncGenerator<Chunk>;
        return { sink, source: { items, stop: () => channel.stream.reset(), totalBytes: undefined } };
      } catch (error) {
        await sink.abandon();
        throw error;
      }
    });
  }

  cancel(id: number): void {
    this.#running.get(id)?.abort(new AtollError("request.aborted"));
  }

  dismiss(id: number): void {
    if (this.#running.has(id)) return;
    this.state.update({ downloads: this.state.get().downloads.filter((download) => download.id !== id) });
  }

  close(): void {
    for (const id of this.#running.keys()) this.cancel(id);
  }

  async #run(
    name: string,
    begin: (signal: AbortSignal) => Promise<{ sink: DownloadSink; source: Source } | undefined>,
  ): Promise<void> {
    this.#lastId += 1;
    const id = this.#lastId;
    const stop = new AbortController();
    this.#running.set(id, stop);
    const initial = { id, name, receivedBytes: 0, totalBytes: undefined, skippedCount: 0, error: undefined };
    this.state.update({ downloads: [...this.state.get().downloads, { ...initial, phase: "running" }] });
    try {
      const signal = AbortSignal.any([this.#connection.link.signal, stop.signal]);
      const begun = await begin(signal);
      if (!begun) return this.#patch(id, { phase: "cancelled" });
      const skippedCount = await this.#copy(id, begun.source, begun.sink, signal);
      this.#patch(id, { phase: "done", skippedCount });
    } catch (cause) {
      if (stop.signal.aborted) this.#patch(id, { phase: "cancelled" });
      else this.#patch(id, { phase: "failed", error: toAtollError(cause) });
    } finally {
      this.#running.delete(id);
    }
  }

  /** @returns how many entries were skipped */
  async #copy(id: number, source: Source, sink: DownloadSink, signal: AbortSignal): Promise<number> {
    const onAbort = () => source.stop();
    signal.addEventListener("abort", onAbort, { once: true });
    let receivedBytes = 0;
    let drawnBytes = 0;
    let skippedCount: number | undefined;
    this.#patch(id, { totalBytes: source.totalBytes });
    try {
      for await (const item of source.items()) {
        if (item.kind === "event") {
          skippedCount = item.value.skippedCount;
          continue;
        }
        await sink.write(item.bytes);
        receivedBytes += item.bytes.length;
        if (receivedBytes - drawnBytes < REDRAW_BYTES) continue;
        drawnBytes = receivedBytes;
        this.#patch(id, { receivedBytes });
      }
      signal.throwIfAborted();
      // Half a file that looks whole would be worse than none.
      const isWhole =
        source.totalBytes === undefined ? skippedCount !== undefined : receivedBytes === source.totalBytes;
      if (!isWhole) throw new AtollError("stream.reset", "the download ended early");
      await sink.finish();
      this.#patch(id, { receivedBytes });
      return skippedCount ?? 0;
    } catch (error) {
      await sink.abandon().catch(() => {});
      throw error;
    } finally {
      signal.removeEventListener("abort", onAbort);
      source.stop();
    }
  }

  #patch(id: number, patch: Partial<Download>): void {
    this.state.update({
      downloads: this.state
        .get()
        .downloads.map((download) => (download.id === id ? { ...download, ...patch } : download)),
    });
  }
}
