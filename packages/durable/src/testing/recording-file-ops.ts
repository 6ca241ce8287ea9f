import { readFile } from "node:fs/promises";
import { relative } from "node:path";
import { type DurableFile, type FileOps, realFileOps } from "../file-ops.ts";

/** What was done below one directory, in order. Paths are relative to it, `""` is itself. */
export type Operation =
  | { kind: "create"; path: string; mode: number; fileId: number }
  | { kind: "open"; path: string; fileId: number }
  | { kind: "write"; fileId: number; offset: number; bytes: Buffer }
  | { kind: "syncFile"; fileId: number }
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

/** Does everything for real and writes it down. */
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

  async create(path: string, mode: number): Promise<DurableFile> {
    const file = await realFileOps.create(path, mode);
    const fileId = ++this.#fileCount;
    this.#record({ kind: "create", path: this.#relative(path), mode, fileId });
    return this.#recorded(file, fileId);
  }

  async open(path: string): Promise<DurableFile> {
    const file = await realFileOps.open(path);
    const fileId = ++this.#fileCount;
    this.#record({ kind: "open", path: this.#relative(path), fileId });
    return this.#recorded(file, fileId, path);
  }

  async rename(from: string, to: string): Promise<void> {
    await realFileOps.rename(from, to);
    this.#record({ kind: "rename", from: this.#relative(from), to: this.#relative(to) });
  }

  async link(existing: string, path: string): Promise<void> {
    await realFileOps.link(existing, path);
    this.#record({ kind: "link", existing: this.#relative(existing), path: this.#relative(path) });
  }

  async remove(path: string): Promise<void> {
    await realFileOps.remove(path);
    this.#record({ kind: "remove", path: this.#relative(path) });
  }

  async makeDirectory(path: string, mode: number): Promise<boolean> {
    const isNew = await realFileOps.makeDirectory(path, mode);
    if (isNew) this.#record({ kind: "makeDirectory", path: this.#relative(path), mode });
    return isNew;
  }

  async syncDirectory(path: string): Promise<void> {
    await realFileOps.syncDirectory(path);
    // Of what lies above nothing is replayed: it is taken to be there.
    const inside = relative(this.#options.directory, path);
    if (!inside.startsWith("..")) this.#record({ kind: "syncDirectory", path: inside });
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

  #relative(path: string): string {
    const found = relative(this.#options.directory, path);
    if (found.startsWith("..")) throw new Error(`${path} is outside the recorded directory`);
    return found;
  }
}
