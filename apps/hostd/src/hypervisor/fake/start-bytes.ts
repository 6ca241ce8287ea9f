/** What machines in memory begin from, whose whole state is a few bytes. */
import { readFileSync } from "node:fs";
import type { MachineStart, UnpackedState } from "../hypervisor.ts";

export class UnpackedBytes implements UnpackedState {
  readonly bytes: Buffer;
  readonly #onGone: () => void;

  constructor(bytes: Buffer, onGone: () => void = () => {}) {
    this.bytes = bytes;
    this.#onGone = onGone;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#onGone();
  }
}

export async function bytesOf(start: Exclude<MachineStart, { kind: "boot" }>): Promise<Buffer> {
  if (start.kind === "template") return readFileSync(start.template.deviceStatePath);
  if (start.kind === "saved") return copyAll(start.state);
  if (start.state instanceof UnpackedBytes) return start.state.bytes;
  throw new TypeError("a state that another driver unpacked");
}

/** Piece by piece: one may be gone when the next is asked for. */
export async function copyAll(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(Buffer.from(part));
  return Buffer.concat(parts);
}
