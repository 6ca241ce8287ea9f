import { readFile } from "node:fs/promises";
import { relative } from "node:path";
import { type DurableFile, type FileOps, realFileOps } from "../file-ops.ts";

/** What was done below one directory, in order. Paths are relative to it, `""` is itself. */
export type Operation =
  | { kind: "create"; path: string; mode: number; fileId: number }
  | { kind: "open"; path: string; fileId: number }
  | { kind: "write"; fileId: number; offset: number; bytes: Buffer }
  | { kind: "syncFile"; fileId: number }
  | { kind: "wrote"; path: string; bytes: Buffer }
  | { kind: "rename"; from: string; to: string }
  | { kind: "link"; existing: string; path: string }
  | { kind: "remove"; path: string }
  | { kind: "makeDirectory"; path: string; mode: number }
  | { kind: "syncDirectory"; path: string }
  /** The caller was told that it is done. */
  | { kind: "acknowledge"; label: string };

export interface RecordingFileOpsOptions {
  directory: string;
  /** Takes operations out of the record as if they had not been done, to show that a replay notices. */
  omit?: (operation: Operation) => boolean;
}

/** Does everything for real and writes down what is below the directory. */
export class RecordingFileOps implements FileOps {
  readonly operations: Operation[] = [];
  readonly #options: RecordingFileOpsOptions;
  #fileCount = 0;

  constructor(options: RecordingFileOpsOptions) {
    this.#options = options;
  }

  /** Marks that whatever was done up to here has been promised to somebody. */
  acknowledge(label: string): void {
    this.#record({ kind: "acknowledge", label });
  }

  /** Another program, which sees to its own crash safety, wrote this file: from here on its bytes are whole and certain. */
  async wrote(path: string): Promise<void> {
    const inside = this.#inside(path);
    if (inside !== undefined) this.#record({ kind: "wrote", path: inside, bytes: await readFile(path) });
  }

  async create(path: string, mode: number): Promise<DurableFile> {
    const file = await realFileOps.create(path, mode);
    const inside = this.#inside(path);
    if (inside === undefined) return file;
    const fileId = ++this.#fileCount;
    this.#record({ kind: "create", path: inside, mode, fileId });
    return this.#recorded(file, fileId);
  }

  async open(path: string): Promise<DurableFile> {
    const file = await realFileOps.open(path);
    const inside = this.#inside(path);
    if (inside === undefined) return file;
    const fileId = ++this.#fileCount;
    this.#record({ kind: "open", path: inside, fileId });
    return this.#recorded(file, fileId, path);
  }

  async rename(from: string, to: string): Promise<void> {
    await realFileOps.rename(from, to);
    const both = this.#bothInside(from, to);
    if (both !== undefined) this.#record({ kind: "rename", from: both[0], to: both[1] });
  }

  async link(existing: string, path: string): Promise<void> {
    await realFileOps.link(existing, path);
    const both = this.#bothInside(existing, path);
    if (both !== undefined) this.#record({ kind: "link", existing: both[0], path: both[1] });
  }

  async remove(path: string): Promise<void> {
    await realFileOps.remove(path);
    const inside = this.#inside(path);
    if (inside !== undefined) this.#record({ kind: "remove", path: inside });
  }

  async makeDirectory(path: string, mode: number): Promise<boolean> {
    const isNew = await realFileOps.makeDirectory(path, mode);
    const inside = this.#inside(path);
    if (isNew && inside !== undefined) this.#record({ kind: "makeDirectory", path: inside, mode });
    return isNew;
  }

  async syncDirectory(path: string): Promise<void> {
    await realFileOps.syncDirectory(path);
    const inside = this.#inside(path);
    if (inside !== undefined) this.#record({ kind: "syncDirectory", path: inside });
  }

  #recorded(file: DurableFile, fileId: number, openedPath?: string): DurableFile {
    let offset = 0;
    return {
      write: async (bytes) => {
        await file.write(bytes);
        this.#record({ kind: "write", fileId, offset, bytes: Buffer.from(bytes) });
        offset += bytes.length;
      },
      sync: async () => {
        // Opened only to be synced: something outside wrote it, which counts as done just before.
        if (openedPath !== undefined && offset === 0) {
          this.#record({ kind: "write", fileId, offset, bytes: await readFile(openedPath) });
        }
        await file.sync();
        this.#record({ kind: "syncFile", fileId });
      },
      [Symbol.asyncDispose]: () => file[Symbol.asyncDispose](),
    };
  }

  #record(operation: Operation): void {
    if (this.#options.omit?.(operation) !== true) this.operations.push(operation);
  }

  /** Undefined for what is not replayed: that is taken to be there. */
  #inside(path: string): string | undefined {
    const found = relative(this.#options.directory, path);
    return found.startsWith("..") ? undefined : found;
  }

  #bothInside(one: string, other: string): [string, string] | undefined {
    const [first, second] = [this.#inside(one), this.#inside(other)];
    if (first !== undefined && second !== undefined) return [first, second];
    if (first === second) return undefined;
    throw new Error(`${one} and ${other} are not both inside the recorded directory`);
  }
}
