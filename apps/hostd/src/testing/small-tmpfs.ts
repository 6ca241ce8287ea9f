import { execFile } from "node:child_process";
import { mkdir, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { SmallPlace } from "../hypervisor/contract/contract-host.ts";

const run = promisify(execFile);
const SIZE_BYTES = 64 * 1024 * 1024;
const PAGE = Buffer.alloc(4096, 1);

/** For tests: a file system of its own that a file fills. */
export class SmallTmpfs implements SmallPlace {
  readonly directory: string;

  private constructor(directory: string) {
    this.directory = directory;
  }

  static async mount(directory: string): Promise<SmallTmpfs> {
    await mkdir(directory, { mode: 0o700 });
    // Machines reach their disks below it by uids of their own.
    await run("mount", ["-t", "tmpfs", "-o", `size=${SIZE_BYTES},mode=0711`, "tmpfs", directory]);
    return new SmallTmpfs(directory);
  }

  async fill(): Promise<void> {
    await using file = await open(this.#fillPath, "a", 0o600);
    for (let hasRoom = true; hasRoom; ) {
      hasRoom = await file.write(PAGE).then(
        () => true,
        (error: NodeJS.ErrnoException) => {
          if (error.code === "ENOSPC") return false;
          throw error;
        },
      );
    }
  }

  async free(): Promise<void> {
    await rm(this.#fillPath, { force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Whoever had a disk in it is gone, but maybe only just.
    await run("umount", ["-l", this.directory]);
    await rm(this.directory, { recursive: true });
  }

  get #fillPath(): string {
    return join(this.directory, "fill");
  }
}
