/** Changes in the folders somebody looks at: one channel for all, counted by folder, taken up again on every link. */
import { openChannel } from "@atoll/protocol/call";
import { filesWatch } from "@atoll/protocol/messages/files";
import type { Connection, Link } from "../connection/connection.ts";

export type FolderListener = (change: { path: string | undefined }) => void;

/** Folders named when the channel is opened; the rest follow one by one. */
const FIRST_PATHS = 1000;

export class FolderWatch {
  readonly #folders = new Map<string, number>();
  readonly #listeners = new Set<FolderListener>();
  readonly #detach: () => void;
  #send: ((event: { type: "add" | "remove"; path: string }) => void) | undefined;

  constructor(connection: Connection) {
    this.#detach = connection.onLink((link) => this.#watch(link));
  }

  /** `path` is the changed thing; undefined when changes may have been missed and everything must be looked at. */
  onDidChange(listener: FolderListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  add(folder: string): void {
    const count = this.#folders.get(folder) ?? 0;
    this.#folders.set(folder, count + 1);
    if (count === 0) this.#send?.({ type: "add", path: folder });
  }

  remove(folder: string): void {
    const count = this.#folders.get(folder) ?? 0;
    if (count > 1) {
      this.#folders.set(folder, count - 1);
      return;
    }
    this.#folders.delete(folder);
    if (count === 1) this.#send?.({ type: "remove", path: folder });
  }

  close(): void {
    this.#detach();
  }

  async #watch({ mux, signal }: Link): Promise<void> {
    const all = [...this.#folders.keys()];
    const channel = await openChannel(mux, filesWatch, { paths: all.slice(0, FIRST_PATHS) }, { signal });
    const onAbort = () => channel.stream.reset();
    signal.addEventListener("abort", onAbort, { once: true });
    this.#send = (event) => void channel.sendEvent(event).catch(() => {});
    // Folders past the first thousand, and those that were added while the channel opened.
    const named = new Set(all.slice(0, FIRST_PATHS));
    for (const path of this.#folders.keys()) if (!named.has(path)) this.#send({ type: "add", path });
    this.#tell(undefined);
    try {
      for await (const item of channel.items()) {
        if (item.kind !== "event") continue;
        if (item.value.type === "overflow") this.#tell(undefined);
        if (item.value.type === "changes") for (const change of item.value.changes) this.#tell(change.path);
      }
    } finally {
      this.#send = undefined;
      signal.removeEventListener("abort", onAbort);
      channel.stream.reset();
    }
  }

  #tell(path: string | undefined): void {
    for (const listener of [...this.#listeners]) listener({ path });
  }
}
