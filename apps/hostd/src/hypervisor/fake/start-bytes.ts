/** What machines in memory begin from, whose whole state is a few bytes. */
import { readFileSync } from "node:fs";
import { AtollError } from "@atoll/protocol/atoll-error";
import type { MachineRecord, MachineStart, SaveOptions, UnpackedState } from "../hypervisor.ts";

export class UnpackedBytes implements UnpackedState {
  readonly baseId: string;
  readonly bytes: Buffer;
  readonly #onGone: () => void;

  constructor(baseId: string, bytes: Buffer, onGone: () => void = () => {}) {
    this.baseId = baseId;
    this.bytes = bytes;
    this.#onGone = onGone;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#onGone();
  }
}

export async function bytesOf(start: Exclude<MachineStart, { kind: "boot" }>): Promise<Buffer> {
  if (start.kind === "template") return readFileSync(start.template.deviceStatePath);
  if (start.kind === "unpacked") return requireBytes(start.state);
  if (start.base !== undefined) requireBytes(start.base);
  const { baseId, bytes } = split(await copyAll(start.state));
  if (baseId === start.base?.baseId) return bytes;
  throw new AtollError("snapshot.invalid", "this was saved over something else");
}

/** What a machine saves: with the name of what it lies over, where only the difference is asked for. */
export function savedBytes(
  { baseId }: MachineRecord,
  { isOverBase = false }: SaveOptions,
  state: string,
): Buffer {
  return Buffer.from(isOverBase && baseId !== null ? `${OVER}${baseId}\n${state}` : state);
}

export async function* joinBytes(
  base: AsyncIterable<Uint8Array>,
  over: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const [lower, upper] = [split(await copyAll(base)), split(await copyAll(over))];
  if (lower.baseId !== undefined || upper.baseId === undefined)
    throw new AtollError("snapshot.invalid", "these do not belong over each other");
  yield upper.bytes;
}

const OVER = "over ";

function split(bytes: Buffer): { baseId: string | undefined; bytes: Buffer } {
  const end = bytes.indexOf("\n");
  if (end === -1 || !bytes.subarray(0, end).toString().startsWith(OVER)) return { baseId: undefined, bytes };
  return { baseId: bytes.subarray(OVER.length, end).toString(), bytes: bytes.subarray(end + 1) };
}

function requireBytes(state: UnpackedState): Buffer {
  if (state instanceof UnpackedBytes) return state.bytes;
  throw new TypeError("a state that another driver unpacked");
}

/** Piece by piece: one may be gone when the next is asked for. */
export async function copyAll(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(Buffer.from(part));
  return Buffer.concat(parts);
}
