import { type FileHandle, open } from "node:fs/promises";
import { AtollError } from "@atoll/protocol/atoll-error";
import { PAGE_BYTES } from "./guest-memory.ts";

/** Pages of a file that guests' RAM is a private view of. */
export class RamFile implements AsyncDisposable {
  readonly #file: FileHandle;

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  static async open(path: string): Promise<RamFile> {
    return new RamFile(await open(path, "r"));
  }

  async readLater(first: number, target: Uint8Array): Promise<void> {
    const { bytesRead } = await this.#file.read(target, 0, target.length, first * PAGE_BYTES);
    if (bytesRead !== target.length)
      throw new AtollError("vm.monitor_failed", "the file behind the RAM ended early");
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#file.close();
  }
}
