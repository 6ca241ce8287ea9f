import { AtollError } from "./atoll-error.ts";
import type { ByteBudget } from "./byte-budget.ts";
import { type Frame, FrameFlag } from "./frame.ts";
import { MESSAGE_MAX_BYTES } from "./limits.ts";

const NOTHING = new Uint8Array(0);

/** Puts one stream's fragmented JSON messages together; holds at most MESSAGE_MAX_BYTES, all of them within the budget. */
export class MessageAssembler {
  readonly #budget: ByteBudget;
  #buffer = NOTHING;
  #bytes = 0;

  constructor(budget: ByteBudget) {
    this.#budget = budget;
  }

  /**
   * Returns the whole message, or undefined while fragments are missing. What it occupies stays in the budget until
   * `handOver` names it and the caller gives it back.
   * @throws AtollError link.protocol
   */
  push(frame: Frame): Uint8Array | undefined {
    const { payload } = frame;
    // None is ever sent, and one would be held without having cost anything.
    if (payload.length === 0) throw new AtollError("link.protocol", "empty fragment");
    const isPartial = (frame.flags & FrameFlag.more) !== 0;
    if (!isPartial && this.#bytes === 0) return payload;
    const bytes = this.#bytes + payload.length;
    if (bytes > MESSAGE_MAX_BYTES) throw new AtollError("link.protocol", "message too long");
    this.#grow(bytes);
    // One buffer, not a list: a fragment of one byte costs one byte.
    this.#buffer.set(payload, this.#bytes);
    this.#bytes = bytes;
    if (isPartial) return undefined;
    this.#bytes = 0;
    return this.#buffer.subarray(0, bytes);
  }

  /** After a whole message, or when the stream is over: the bytes of the budget that are the caller's now. */
  handOver(): number {
    const held = this.#buffer.length;
    this.#buffer = NOTHING;
    this.#bytes = 0;
    return held;
  }

  #grow(bytes: number): void {
    if (bytes <= this.#buffer.length) return;
    const grown = Math.min(Math.max(bytes, 2 * this.#buffer.length), MESSAGE_MAX_BYTES);
    this.#budget.take(grown - this.#buffer.length);
    const buffer = new Uint8Array(grown);
    buffer.set(this.#buffer);
    this.#buffer = buffer;
  }
}
