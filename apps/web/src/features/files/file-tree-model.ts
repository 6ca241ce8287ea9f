/** The explorer: folders are listed when opened, watched while open, and shown as one flat list of rows. */
import type { Clock } from "@atoll/base/clock";
import { type AtollError, toAtollError } from "@atoll/protocol/atoll-error";
import type { FileEntry } from "@atoll/protocol/messages/files";
import { ModelState } from "../model-state.ts";
import type { FileClient } from "./file-client.ts";
import type { FolderWatch } from "./folder-watch.ts";
import { childPath, isWithin, parentPath } from "./guest-path.ts";

export interface TreeRow {
  path: string;
  name: string;
  depth: number;
  isFolder: boolean;
  isSymlink: boolean;
  isExpanded: boolean;
  isLoading: boolean;
}

/** An inline input in the tree. */
export interface TreeEdit {
  kind: "file" | "directory" | "rename";
  /** Folder of the new thing, or the thing being renamed. */
  path: string;
}

export interface FileTreeState {
  rows: TreeRow[];
  selected: string | undefined;
  edit: TreeEdit | undefined;
  /** The root has been listed at least once. */
  isReady: boolean;
  error: AtollError | undefined;
}

interface Folder {
  entries: FileEntry[] | undefined;
  isLoading: boolean;
  /** A change arrived while it was being listed. */
  isStale: boolean;
}

/** Changes come in bursts (an install writes thousands); one listing serves a burst. */
const SETTLE_MS = 60;

export class FileTreeModel {
  readonly state = new ModelState<FileTreeState>({
    rows: [],
    selected: undefined,
    edit: undefined,
    isReady: false,
    error: undefined,
  });
  readonly root: string;
  readonly #hidden: ReadonlySet<string>;
  readonly #files: Pick<FileClient, "list" | "create" | "rename" | "delete">;
  readonly #watch: Pick<FolderWatch, "add" | "remove" | "onDidChange">;
  readonly #clock: Clock;
  readonly #folders = new Map<string, Folder>();
  readonly #settling = new Set<string>();
  readonly #stopListening: () => void;
  #cancelSettle: (() => void) | undefined;

  constructor(options: {
    root: string;
    /** Names that are not shown, in any folder. */
    hidden?: readonly string[];
    files: Pick<FileClient, "list" | "create" | "rename" | "delete">;
    watch: Pick<FolderWatch, "add" | "remove" | "onDidChange">;
    clock: Clock;
  }) {
    this.root = options.root;
    this.#hidden = new Set(options.hidden);
    this.#files = options.files;
    this.#watch = options.watch;
    this.#clock = options.clock;
    this.#stopListening = options.watch.onDidChange(({ path }) => this.#onChange(path));
    this.#open(this.root);
  }

  select(path: string): void {
    this.state.update({ selected: path });
  }

  toggle(path: string): void {
    if (this.#folders.has(path)) this.collapse(path);
    else this.expand(path);
  }

  expand(path: string): void {
    if (!this.#folders.has(path)) this.#open(path);
  }

  collapse(path: string): void {
    if (path === this.root) return;
    for (const folder of [...this.#folders.keys()]) {
      if (!isWithin(folder, path)) continue;
      this.#folders.delete(folder);
      this.#watch.remove(folder);
    }
    this.#draw();
  }

  collapseAll(): void {
    for (const folder of [...this.#folders.keys()]) {
      if (parentPath(folder) === this.root) this.collapse(folder);
    }
  }

  refresh(): void {
    for (const folder of this.#folders.keys()) void this.#list(folder);
  }

  /** The folder where something new belongs, given what is selected. */
  targetFolder(): string {
    const { selected, rows } = this.state.get();
    if (selected === undefined) return this.root;
    return rows.find((row) => row.path === selected)?.isFolder ? selected : parentPath(selected);
  }

  beginEdit(edit: TreeEdit): void {
    if (edit.kind !== "rename") this.expand(edit.path);
    this.state.update({ edit });
  }

  cancelEdit(): void {
    this.state.update({ edit: undefined });
  }

  /** Does what the inline input asked for. @returns the new path. @throws AtollError; the input then stays. */
  async finishEdit(name: string): Promise<string | undefined> {
    const { edit } = this.state.get();
    if (!edit) return undefined;
    const folder = edit.kind === "rename" ? parentPath(edit.path) : edit.path;
    const path = childPath(folder, name);
    if (edit.kind !== "rename") await this.#files.create(path, edit.kind);
    else if (path !== edit.path) await this.#files.rename(edit.path, path);
    this.state.update({ edit: undefined, selected: path });
    await this.#list(folder);
    return path;
  }

  async delete(path: string): Promise<void> {
    await this.#files.delete(path);
    this.collapse(path);
    await this.#list(parentPath(path));
  }

  close(): void {
    this.#cancelSettle?.();
    this.#stopListening();
  }

  #open(path: string): void {
    this.#folders.set(path, { entries: undefined, isLoading: false, isStale: false });
    this.#watch.add(path);
    void this.#list(path);
  }

  #onChange(path: string | undefined): void {
    const folders = path === undefined ? [...this.#folders.keys()] : [parentPath(path)];
    for (const folder of folders) if (this.#folders.has(folder)) this.#settling.add(folder);
    if (this.#settling.size === 0) return;
    this.#cancelSettle ??= this.#clock.schedule(SETTLE_MS, () => {
      this.#cancelSettle = undefined;
      for (const folder of this.#settling) void this.#list(folder);
      this.#settling.clear();
    });
  }

  async #list(path: string): Promise<void> {
    const folder = this.#folders.get(path);
    if (!folder) return;
    if (folder.isLoading) {
      folder.isStale = true;
      return;
    }
    folder.isLoading = true;
    if (folder.entries === undefined) this.#draw();
    try {
      const { entries } = await this.#files.list(path);
      folder.entries = entries.filter(({ name }) => !this.#hidden.has(name)).sort(byKindAndName);
      if (path === this.root) this.state.update({ isReady: true, error: undefined });
    } catch (cause) {
      this.#onListFailure(path, toAtollError(cause));
    } finally {
      folder.isLoading = false;
    }
    this.#draw();
    if (folder.isStale) {
      folder.isStale = false;
      void this.#list(path);
    }
  }

  #onListFailure(path: string, error: AtollError): void {
    const isGone = error.code === "file.not_found" || error.code === "file.not_directory";
    if (isGone && path !== this.root) this.collapse(path);
    // Without a link there is nothing to say: the next link lists everything again.
    else if (error.code !== "link.lost" && error.code !== "workspace.not_running")
      this.state.update({ error });
  }

  #draw(): void {
    const rows: TreeRow[] = [];
    const add = (folderPath: string, depth: number) => {
      for (const entry of this.#folders.get(folderPath)?.entries ?? []) {
        const path = childPath(folderPath, entry.name);
        const folder = this.#folders.get(path);
        const isFolder = (entry.targetKind ?? entry.kind) === "directory";
        rows.push({
          path,
          name: entry.name,
          depth,
          isFolder,
          isSymlink: entry.kind === "symlink",
          isExpanded: folder !== undefined,
          isLoading: folder !== undefined && folder.entries === undefined,
        });
        if (folder) add(path, depth + 1);
      }
    };
    add(this.root, 0);
    this.state.update({ rows });
  }
}

const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

function byKindAndName(a: FileEntry, b: FileEntry): number {
  const rank = (entry: FileEntry) => ((entry.targetKind ?? entry.kind) === "directory" ? 0 : 1);
  return rank(a) - rank(b) || collator.compare(a.name, b.name);
}
