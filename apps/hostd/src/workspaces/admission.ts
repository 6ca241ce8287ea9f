import { statfs } from "node:fs/promises";
import { AtollError } from "@atoll/protocol/atoll-error";

export interface AdmissionOptions {
  /** RAM that machines may use together. */
  memoryMb: number;
  /** How much more than that may be promised: idle guests use a fraction of their size. */
  overcommit: number;
  /** Free bytes of the data directory that new starts must leave. */
  diskReserveBytes: number;
  /** Of the data directory; a parameter so that tests need no full disk. */
  freeDiskBytes: () => Promise<number>;
  /** Of machines that wait to be someone's. They are promised too, and give way to whoever takes one. */
  waitingMb?: () => number;
}

/** Says no before a start that the host has no room for. */
export class Admission {
  readonly #options: AdmissionOptions;
  readonly #held = new Map<string, number>();

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  /**
   * Held until `release`; holding again for the same workspace replaces.
   * @param options.needsDisk false of a machine that only looks: a full disk is a reason to look @throws AtollError host.full
   */
  async reserve(
    workspaceId: string,
    memoryMb: number,
    { needsDisk = true }: { needsDisk?: boolean } = {},
  ): Promise<void> {
    const { diskReserveBytes } = this.#options;
    const limitMb = this.#limitMb;
    const usedMb = this.#usedMb(workspaceId) + Math.max(0, this.#waitingMb - memoryMb);
    if (usedMb + memoryMb > limitMb) {
      throw new AtollError("host.full", `${usedMb} of ${limitMb} MB are promised`, {
        details: { resource: "memory", limit: limitMb, used: usedMb },
      });
    }
    // Taken before the first await: two starts at once must not both see the last room.
    this.#held.set(workspaceId, memoryMb);
    if (!needsDisk) return;
    const freeBytes = await this.#options.freeDiskBytes().catch((error: unknown) => {
      this.#held.delete(workspaceId);
      throw error;
    });
    if (freeBytes < diskReserveBytes) {
      this.#held.delete(workspaceId);
      throw new AtollError("host.full", `${freeBytes} bytes of disk are free`, {
        details: { resource: "disk" },
      });
    }
  }

  /** Whether one more machine may be made that nobody asked for yet. */
  mayWait(memoryMb: number): boolean {
    return this.#usedMb() + this.#waitingMb + memoryMb <= this.#limitMb;
  }

  /** For machines that run already: they are counted, never refused. */
  hold(workspaceId: string, memoryMb: number): void {
    this.#held.set(workspaceId, memoryMb);
  }

  release(workspaceId: string): void {
    this.#held.delete(workspaceId);
  }

  get #limitMb(): number {
    return Math.floor(this.#options.memoryMb * this.#options.overcommit);
  }

  get #waitingMb(): number {
    return this.#options.waitingMb?.() ?? 0;
  }

  #usedMb(exceptId?: string): number {
    let usedMb = 0;
    for (const [id, heldMb] of this.#held) if (id !== exceptId) usedMb += heldMb;
    return usedMb;
  }
}

export function freeDiskBytesOf(directory: string): () => Promise<number> {
  return async () => {
    const { bavail, bsize } = await statfs(directory);
    return bavail * bsize;
  };
}
