import { AtollError } from "./atoll-error.ts";
import { type Frame, FrameFlag } from "./frame.ts";
import { MESSAGE_MAX_BYTES } from "./limits.ts";

/** Puts one stream's fragmented JSON messages together; holds at most MESSAGE_MAX_BYTES. */
export class MessageAssembler {
  #fragments: Uint8Array[] = [];
  #bytes = 0;

  /** Returns the whole message, or undefined while fragments are missing. @throws AtollError link.protocol */
  push(frame: Frame): Uint8Array | undefined {
    const isPartial = (frame.flags & FrameFlag.more) !== 0;
    if (!isPartial && this.#fragments.length === 0) return frame.payload;
    this.#fragments.push(frame.payload.slice());
    this.#bytes += frame.payload.length;
    if (this.#bytes > MESSAGE_MAX_BYTES) throw new AtollError("link.protocol", "message too long");
    if (isPartial) return undefined;
    const message = new Uint8Array(this.#bytes);
    let at = 0;
    for (const fragment of this.#fragments) {
      message.set(fragment, at);
      at += fragment.length;
    }
    this.#fragments = [];
    this.#bytes = 0;
    return message;
  }
}
