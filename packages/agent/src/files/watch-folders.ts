import type { Clock } from "@atoll/base/clock";
import { AtollError, toAtollError } from "@atoll/protocol/atoll-error";
import { openerItems } from "@atoll/protocol/call";
import { WATCHES_PER_SESSION } from "@atoll/protocol/limits";
import type { ParsedParamsOf } from "@atoll/protocol/message";
import { filesWatch } from "@atoll/protocol/messages/files";
import type { MuxStream } from "@atoll/protocol/mux-stream";
import { hasErrno } from "../system/has-errno.ts";
import { fileFault } from "./file-fault.ts";
import { FolderWatch } from "./folder-watch.ts";
import type { InotifyGauge } from "./inotify-gauge.ts";

/** Changes of one save or one command come together. */
const BATCH_MS = 30;

export interface FolderWatcherOptions {
  clock: Clock;
  gauge: InotifyGauge;
  stream: MuxStream;
}

/** Serves one `files.watch` until its opener ends it. */
export class FolderWatcher {
  readonly #options: FolderWatcherOptions;
  readonly #stream: MuxStream;
  /** A path asked for, before the kernel said yes, is here without a watch. */
  readonly #watches = new Map<string, FolderWatch | undefined>();
  #cancelBatch: (() => void) | undefined;
  #isFlushing = false;
  #isLossy = false;
  #isClosed = false;

  constructor(options: FolderWatcherOptions) {
    this.#options = options;
    this.#stream = options.stream;
  }

  async serve(params: ParsedParamsOf<typeof filesWatch>): Promise<void> {
    const stopGauge = this.#options.gauge.onLoss(() => {
      this.#isLossy = true;
      this.#schedule();
    });
    void this.#stream.closed.then(() => this.#close(stopGauge));
    const failed = await Promise.all(params.paths.map((path) => this.#add(path)));
    this.#stream.sendReply({});
    for (const fault of failed) if (fault !== undefined) await this.#stream.sendEvent(fault);
    for await (const item of openerItems(this.#stream, filesWatch)) {
      if (item.kind === "data") continue;
      const { type, path } = item.value;
      if (type === "remove") this.#remove(path);
      else {
        const fault = await this.#add(path);
        if (fault !== undefined) await this.#stream.sendEvent(fault);
      }
    }
    this.#close(stopGauge);
  }

  async #add(path: string): Promise<FailedEvent | undefined> {
    if (this.#watches.has(path)) return undefined;
    if (this.#watches.size >= WATCHES_PER_SESSION)
      return failedEvent(path, new AtollError("file.watch_limit"));
    this.#watches.set(path, undefined);
    try {
      const watch = await FolderWatch.start({
        path,
        onDirty: () => this.#schedule(),
        onRawEvent: () => this.#options.gauge.count(),
      });
      // Removed, or the stream ended, while the folder was being found.
      if (this.#isClosed || !this.#watches.has(path)) watch.close();
      else this.#watches.set(path, watch);
      return undefined;
    } catch (cause) {
      this.#watches.delete(path);
      return failedEvent(path, cause);
    }
  }

  #remove(path: string): void {
    this.#watches.get(path)?.close();
    this.#watches.delete(path);
  }

  #schedule(): void {
    if (this.#isClosed || this.#cancelBatch !== undefined) return;
    this.#cancelBatch = this.#options.clock.schedule(BATCH_MS, () => {
      this.#cancelBatch = undefined;
      void this.#flush();
    });
  }

  async #flush(): Promise<void> {
    // What becomes dirty during a flush is seen at its end.
    if (this.#isFlushing || this.#isClosed) return;
    this.#isFlushing = true;
    try {
      const dirty = [...this.#watches.values()].filter((watch) => watch?.isDirty) as FolderWatch[];
      if (this.#isLossy) {
        this.#isLossy = false;
        for (const watch of dirty) watch.forget();
        await this.#stream.sendEvent({ type: "overflow" });
      } else {
        for (const watch of dirty) await this.#tell(watch);
      }
    } catch {
      // The stream is over; its owner learns it from the stream.
    } finally {
      this.#isFlushing = false;
      if ([...this.#watches.values()].some((watch) => watch?.isDirty)) this.#schedule();
    }
  }

  async #tell(watch: FolderWatch): Promise<void> {
    let changes: Awaited<ReturnType<FolderWatch["take"]>>;
    try {
      changes = await watch.take();
    } catch (cause) {
      if (this.#watches.get(watch.path) === watch) this.#remove(watch.path);
      return this.#stream.sendEvent(failedEvent(watch.path, cause));
    }
    if (changes === "overflow") await this.#stream.sendEvent({ type: "overflow" });
    else if (changes.length > 0) await this.#stream.sendEvent({ type: "changes", changes });
  }

  #close(stopGauge: () => void): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    stopGauge();
    this.#cancelBatch?.();
    for (const watch of this.#watches.values()) watch?.close();
    this.#watches.clear();
  }
}

interface FailedEvent {
  type: "failed";
  path: string;
  code: string;
}

function failedEvent(path: string, cause: unknown): FailedEvent {
  // inotify says "no space" when its watches are used up, and "too many files" for its instances.
  if (hasErrno(cause, "ENOSPC", "EMFILE", "ENFILE"))
    return { type: "failed", path, code: "file.watch_limit" };
  return { type: "failed", path, code: toAtollError(fileFault(cause)).code };
}
