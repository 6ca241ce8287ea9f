/**
 * Every change of the file system that must survive a power cut goes through these operations, so that a test can record
 * them and replay each prefix with what was not synced dropped (testing/crash-states.ts).
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { link, mkdir, open, rename, rm } from "node:fs/promises";

export interface DurableFile extends AsyncDisposable {
  /** Behind what was written before; from the beginning of a file that was opened. */
  write(bytes: Uint8Array): Promise<void>;
  sync(): Promise<void>;
}

export interface FileOps {
  /** Fails with EEXIST when the name is taken. */
  create(path: string, mode: number): Promise<DurableFile>;
  /** For writing over a file in place, and for syncing what something else wrote. Fails with ENOENT. */
  open(path: string): Promise<DurableFile>;
  rename(from: string, to: string): Promise<void>;
  link(existing: string, path: string): Promise<void>;
  /** A file or a whole directory; nothing there is fine. */
  remove(path: string): Promise<void>;
  /** One directory; its parent is there. False when it was there. */
  makeDirectory(path: string, mode: number): Promise<boolean>;
  syncDirectory(path: string): Promise<void>;
}

const ambient = new AsyncLocalStorage<FileOps>();

let ofProcess: FileOps | undefined;

/** The real ones, except inside `withFileOps` and after `useFileOps`. */
export function fileOps(): FileOps {
  return ambient.getStore() ?? ofProcess ?? realFileOps;
}

/**
 * For all of this process, wherever it began: what comes in by a socket carries no context. Answers what takes it back.
 */
export function useFileOps(ops: FileOps): () => void {
  ofProcess = ops;
  return () => {
    if (ofProcess === ops) ofProcess = undefined;
  };
}

/** Ambient, because what is recorded lies many calls below the operation a test knows. */
export function withFileOps<T>(ops: FileOps, run: () => T): T {
  return ambient.run(ops, run);
}

export const realFileOps: FileOps = {
  create: async (path, mode) => fileOf(await open(path, "wx", mode)),
  open: async (path) => fileOf(await open(path, "r+")),
  rename,
  link,
  remove: (path) => rm(path, { recursive: true, force: true }),
  async makeDirectory(path, mode) {
    try {
      await mkdir(path, { mode });
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
      throw error;
    }
  },
  async syncDirectory(path) {
    await using directory = await open(path, "r");
    await directory.sync();
  },
};

function fileOf(handle: Awaited<ReturnType<typeof open>>): DurableFile {
  return {
    write: (bytes) => handle.writeFile(bytes),
    sync: () => handle.sync(),
    [Symbol.asyncDispose]: () => handle.close(),
  };
}
