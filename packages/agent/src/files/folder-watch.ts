import { type FSWatcher, watch } from "node:fs";
import { lstat } from "node:fs/promises";
import { findFolder, type GuestFolder, TEMPORARY_PREFIX } from "./guest-folder.ts";
import { decodeName } from "./list-folder.ts";

export interface FileChange {
  path: string;
  kind: "created" | "changed" | "deleted";
}

export interface FolderWatchOptions {
  path: string;
  /** An entry of the folder changed; `take` says which when asked. */
  onDirty: () => void;
  onRawEvent: () => void;
}

/** More names than this between two looks count as "too many to tell". */
const DIRTY_NAMES_MAX = 1000;

/** One watched directory: collects names, and says what became of them when asked. */
export class FolderWatch {
  readonly path: string;
  readonly #options: FolderWatchOptions;
  #watcher: FSWatcher;
  #identity: string;
  #dirty = new Map<string, { isRenamed: boolean }>();
  #isOverflown = false;
  #isClosed = false;

  private constructor(watcher: FSWatcher, identity: string, options: FolderWatchOptions) {
    this.path = options.path;
    this.#options = options;
    this.#watcher = watcher;
    this.#identity = identity;
    this.#listen(watcher);
  }

  /** @throws system call errors: ENOSPC when the kernel has no watch to give. */
  static async start(options: FolderWatchOptions): Promise<FolderWatch> {
    await using folder = await findFolder(options.path);
    const identity = await identityOf(folder);
    return new FolderWatch(watchOpenFolder(folder), identity, options);
  }

  close(): void {
    this.#isClosed = true;
    this.#watcher.close();
  }

  get isDirty(): boolean {
    return this.#isOverflown || this.#dirty.size > 0;
  }

  forget(): void {
    this.#dirty.clear();
    this.#isOverflown = false;
  }

  /**
   * The changes since last time; "overflow" when they were too many, or when another directory is at the path now: the
   * watch has moved to it. An overlay copying a directory up at its first change looks the same.
   * @throws when the folder is no longer there.
   */
  async take(): Promise<FileChange[] | "overflow"> {
    const dirty = this.#dirty;
    const isOverflown = this.#isOverflown;
    this.#dirty = new Map();
    this.#isOverflown = false;
    await using folder = await findFolder(this.path);
    const identity = await identityOf(folder);
    if (identity !== this.#identity) {
      this.#identity = identity;
      this.#watcher.close();
      this.#watcher = watchOpenFolder(folder);
      if (this.#isClosed) this.#watcher.close();
      else this.#listen(this.#watcher);
      return "overflow";
    }
    if (isOverflown) return "overflow";
    const prefix = this.path.endsWith("/") ? this.path : `${this.path}/`;
    // Awaited here: the folder must stay open until every name was looked at.
    return await Promise.all(
      Array.from(dirty, async ([name, { isRenamed }]): Promise<FileChange> => {
        const isThere = await lstat(folder.entry(name)).then(
          () => true,
          () => false,
        );
        const kind = !isThere ? "deleted" : isRenamed ? "created" : "changed";
        return { path: `${prefix}${name}`, kind };
      }),
    );
  }

  #listen(watcher: FSWatcher): void {
    const { onDirty, onRawEvent } = this.#options;
    watcher.on("change", (type, name) => {
      onRawEvent();
      if (this.#note(type, name)) onDirty();
    });
    // The kernel took the watch away, with its folder or its file system; `take` finds out.
    watcher.on("error", () => {
      this.#isOverflown = true;
      onDirty();
    });
  }

  /** Returns whether it is worth telling. */
  #note(type: string, name: Buffer | string | null): boolean {
    const text = name === null ? undefined : typeof name === "string" ? name : decodeName(name);
    if (text === undefined || text.startsWith(TEMPORARY_PREFIX)) return false;
    if (this.#dirty.size >= DIRTY_NAMES_MAX) this.#isOverflown = true;
    else this.#dirty.set(text, { isRenamed: type === "rename" || this.#dirty.get(text)?.isRenamed === true });
    return true;
  }
}

/** The kernel watches the directory that is open here, whatever the path leads to by now. */
function watchOpenFolder(folder: GuestFolder): FSWatcher {
  return watch(folder.path, { encoding: "buffer" }, () => {});
}

/** With its time of birth: a new folder often gets the inode of the one just deleted. */
async function identityOf(folder: GuestFolder): Promise<string> {
  const { dev, ino, birthtimeNs } = await folder.handle.stat({ bigint: true });
  return `${dev}:${ino}:${birthtimeNs}`;
}
