/**
 * A file system in memory that knows what of it is certain to survive a power cut: bytes up to a file's last sync, names
 * up to their directory's last sync. What came after may survive or not, each change by itself. Of a rename only this is
 * certain: inside one directory it is all or nothing, across two the old name does not go without the new one. That is
 * less than journalling file systems give.
 */
import { dirname, posix } from "node:path";
import type { Operation } from "./recording-file-ops.ts";

export class ModelFile {
  mode: number;
  /** What is certain. */
  synced: Buffer;
  readonly pending: Array<{ offset: number; bytes: Buffer }> = [];

  constructor(mode: number, synced: Buffer) {
    this.mode = mode;
    this.synced = synced;
  }

  write(offset: number, bytes: Buffer): void {
    this.pending.push({ offset, bytes });
  }

  sync(): void {
    this.synced = this.content("kept");
    this.pending.length = 0;
  }

  content(unsynced: Unsynced): Buffer {
    const total = this.pending.reduce((sum, { bytes }) => sum + bytes.length, 0);
    let left = unsynced === "torn" ? Math.floor(total / 2) : unsynced === "dropped" ? 0 : total;
    let content = this.synced;
    for (const { offset, bytes } of this.pending) {
      const part = bytes.subarray(0, left);
      left -= part.length;
      if (part.length === 0) break;
      const grown = Buffer.alloc(Math.max(content.length, offset + part.length));
      content.copy(grown);
      if (unsynced === "zeroed") grown.fill(0, offset, offset + part.length);
      else part.copy(grown, offset);
      content = grown;
    }
    return content;
  }
}

/** What became of bytes written after the last sync. `zeroed`: the length reached the disk, the bytes did not. */
export type Unsynced = "dropped" | "torn" | "zeroed" | "kept";

export type Entry = ModelFile | ModelDirectory;

export interface NameChange {
  /** Each given, or taken away by undefined. */
  readonly names: ReadonlyArray<readonly [name: string, entry: Entry | undefined]>;
  /** Survives only together with this one, of another directory. */
  readonly needs?: { directory: ModelDirectory; change: NameChange };
}

export class ModelDirectory {
  mode: number;
  /** As a running program sees it. */
  readonly present = new Map<string, Entry>();
  readonly synced = new Map<string, Entry>();
  pending: NameChange[] = [];

  constructor(mode: number) {
    this.mode = mode;
  }

  change(change: NameChange): void {
    apply(this.present, change);
    this.pending.push(change);
  }

  sync(): void {
    for (const change of this.pending) {
      apply(this.synced, change);
      if (change.needs !== undefined) change.needs.directory.#settle(change.needs.change);
    }
    this.pending = [];
  }

  #settle(change: NameChange): void {
    if (!this.pending.includes(change)) return;
    apply(this.synced, change);
    this.pending = this.pending.filter((each) => each !== change);
  }
}

export function apply(names: Map<string, Entry>, { names: changed }: NameChange): void {
  for (const [name, entry] of changed) {
    if (entry === undefined) names.delete(name);
    else names.set(name, entry);
  }
}

export class DiskModel {
  readonly root = new ModelDirectory(0o700);
  readonly #opened = new Map<number, ModelFile>();

  perform(operation: Operation): void {
    switch (operation.kind) {
      case "create": {
        const file = new ModelFile(operation.mode, Buffer.alloc(0));
        this.#opened.set(operation.fileId, file);
        this.#parentOf(operation.path).change({ names: [[posix.basename(operation.path), file]] });
        return;
      }
      case "open":
        this.#opened.set(operation.fileId, this.#fileAt(operation.path));
        return;
      case "wrote": {
        const file = this.#fileAt(operation.path);
        file.pending.length = 0;
        file.synced = operation.bytes;
        return;
      }
      case "write":
        this.#file(operation.fileId).write(operation.offset, operation.bytes);
        return;
      case "syncFile":
        this.#file(operation.fileId).sync();
        return;
      case "rename": {
        const [from, to] = [this.#parentOf(operation.from), this.#parentOf(operation.to)];
        const [oldName, newName] = [posix.basename(operation.from), posix.basename(operation.to)];
        const entry = this.#find(operation.from);
        if (from === to) {
          from.change({
            names: [
              [oldName, undefined],
              [newName, entry],
            ],
          });
        } else {
          const change: NameChange = { names: [[newName, entry]] };
          to.change(change);
          from.change({ names: [[oldName, undefined]], needs: { directory: to, change } });
        }
        return;
      }
      case "link":
        this.#parentOf(operation.path).change({
          names: [[posix.basename(operation.path), this.#find(operation.existing)]],
        });
        return;
      case "remove":
        this.#remove(operation.path);
        return;
      case "makeDirectory":
        this.#parentOf(operation.path).change({
          names: [[posix.basename(operation.path), new ModelDirectory(operation.mode)]],
        });
        return;
      case "syncDirectory": {
        const entry = this.#find(operation.path);
        if (!(entry instanceof ModelDirectory)) throw new Error(`${operation.path} is no directory`);
        entry.sync();
        return;
      }
      case "acknowledge":
        return;
    }
  }

  /** Every directory a program or a crash can see, each once. */
  directories(): ModelDirectory[] {
    const found = new Set<ModelDirectory>();
    const visit = (entry: Entry) => {
      if (!(entry instanceof ModelDirectory) || found.has(entry)) return;
      found.add(entry);
      for (const child of entry.present.values()) visit(child);
      for (const child of entry.synced.values()) visit(child);
      for (const { names } of entry.pending) for (const [, child] of names) if (child) visit(child);
    };
    visit(this.root);
    return [...found];
  }

  /** Removing a directory empties it first: a crash may come between any two of these. */
  #remove(path: string): void {
    const entry = this.#lookUp(path);
    if (entry === undefined) return;
    if (entry instanceof ModelDirectory) {
      for (const name of [...entry.present.keys()]) this.#remove(posix.join(path, name));
    }
    this.#parentOf(path).change({ names: [[posix.basename(path), undefined]] });
  }

  /** One that is not there yet was made by another program: the first that is known of it is that somebody opens it. */
  #fileAt(path: string): ModelFile {
    const entry = this.#lookUp(path);
    if (entry instanceof ModelFile) return entry;
    if (entry !== undefined) throw new Error(`${path} is no file of the record`);
    const file = new ModelFile(0o600, Buffer.alloc(0));
    this.#parentOf(path).change({ names: [[posix.basename(path), file]] });
    return file;
  }

  #file(fileId: number): ModelFile {
    const file = this.#opened.get(fileId);
    if (file === undefined) throw new Error(`file ${fileId} was never opened`);
    return file;
  }

  #parentOf(path: string): ModelDirectory {
    const entry = this.#find(dirname(path));
    if (entry instanceof ModelDirectory) return entry;
    throw new Error(`${dirname(path)} is no directory of the record`);
  }

  #find(path: string): Entry {
    const entry = this.#lookUp(path);
    if (entry === undefined) throw new Error(`${path} was made past the recorder`);
    return entry;
  }

  #lookUp(path: string): Entry | undefined {
    let entry: Entry | undefined = this.root;
    for (const name of path.split("/")) {
      if (name === "" || name === ".") continue;
      entry = entry instanceof ModelDirectory ? entry.present.get(name) : undefined;
    }
    return entry;
  }
}
