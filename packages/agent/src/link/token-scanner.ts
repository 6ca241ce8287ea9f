import { indexOfBytes } from "./index-of-bytes.ts";

export interface ScanResult {
  /** Bytes that certainly are no part of the token, in order. */
  passed: Uint8Array;
  /** What follows the token, when it was found: everything before it is over. */
  rest: Uint8Array | undefined;
}

const NOTHING = new Uint8Array(0);

/**
 * Finds the link token in a byte stream cut anywhere. The end of a chunk that may be the token's beginning is held
 * back; `release` lets it go on without forgetting it, so that the token is still found when its rest follows.
 */
export class TokenScanner {
  readonly #token: Uint8Array;
  #tail: Uint8Array = NOTHING;
  /** How much of the tail was released already. */
  #releasedBytes = 0;

  constructor(token: Uint8Array) {
    this.#token = token;
  }

  get heldBytes(): number {
    return this.#tail.length - this.#releasedBytes;
  }

  scan(chunk: Uint8Array): ScanResult {
    const bytes = this.#tail.length === 0 ? chunk : Buffer.concat([this.#tail, chunk]);
    const released = this.#releasedBytes;
    const at = bytes.length < this.#token.length ? -1 : indexOfBytes(bytes, this.#token);
    if (at >= 0) {
      this.#keep(bytes, bytes.length, 0);
      return {
        passed: bytes.subarray(Math.min(released, at), at),
        rest: bytes.subarray(at + this.#token.length),
      };
    }
    const tailAt = this.#tailStart(bytes);
    this.#keep(bytes, tailAt, Math.max(0, released - tailAt));
    return { passed: bytes.subarray(Math.min(released, tailAt), tailAt), rest: undefined };
  }

  /** The held bytes, which the caller passes on now. */
  release(): Uint8Array {
    const held = this.#tail.subarray(this.#releasedBytes);
    this.#releasedBytes = this.#tail.length;
    return held;
  }

  #keep(bytes: Uint8Array, tailAt: number, releasedBytes: number): void {
    this.#tail = tailAt === bytes.length ? NOTHING : bytes.slice(tailAt);
    this.#releasedBytes = releasedBytes;
  }

  /** Where the longest end of `bytes` starts that is a beginning of the token. */
  #tailStart(bytes: Uint8Array): number {
    const first = this.#token[0] as number;
    let at = bytes.indexOf(first, Math.max(0, bytes.length - this.#token.length + 1));
    while (at >= 0) {
      if (this.#isBeginning(bytes, at)) return at;
      at = bytes.indexOf(first, at + 1);
    }
    return bytes.length;
  }

  /** A plain loop: a callback was compiled anew in the first handshake of most clones, an eighth of what they translated. */
  #isBeginning(bytes: Uint8Array, at: number): boolean {
    for (let index = at; index < bytes.length; index++) {
      if (bytes[index] !== this.#token[index - at]) return false;
    }
    return true;
  }
}
