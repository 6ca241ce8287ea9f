import { AtollError } from "./atoll-error.ts";
import { type Frame, FrameFlag, FrameKind } from "./frame.ts";
import { MESSAGE_MAX_BYTES, RESET_MAX_BYTES, STREAM_WINDOW_BYTES } from "./limits.ts";

/** What one side of a relayed stream may send: a hop passes nothing on that it could not hold for a slow reader. */
export class RelayedSide {
  readonly #role: "opener" | "acceptor";
  #inFlightBytes = 0;
  #replyBytes = 0;
  #hasReplied = false;
  #hasEnded = false;

  constructor(role: "opener" | "acceptor") {
    this.#role = role;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** The other side read so much. */
  creditGiven(bytes: number): void {
    this.#inFlightBytes = Math.max(0, this.#inFlightBytes - bytes);
  }

  /** Returns what the frame gives the other side to write. @throws AtollError link.protocol */
  check(frame: Frame): number {
    const { kind, payload } = frame;
    switch (kind) {
      case FrameKind.data:
      case FrameKind.event:
        this.#write(payload.length);
        return 0;
      case FrameKind.reply:
        this.#reply(frame);
        return 0;
      case FrameKind.credit:
        if (payload.length !== 4) throw new AtollError("link.protocol", "credit of wrong size");
        return new DataView(payload.buffer, payload.byteOffset, 4).getUint32(0);
      case FrameKind.end:
        if (payload.length > 0 || this.#hasEnded) throw new AtollError("link.protocol", "not a proper end");
        this.#hasEnded = true;
        return 0;
      case FrameKind.reset:
        if (payload.length > RESET_MAX_BYTES) throw new AtollError("link.protocol", "reset too long");
        return 0;
      default:
        throw new AtollError("link.protocol", `frame of kind ${kind} inside a stream`);
    }
  }

  #write(bytes: number): void {
    // It costs no credit, so there would be no end of them.
    if (bytes === 0) throw new AtollError("link.protocol", "empty frame");
    if (this.#hasEnded) throw new AtollError("link.protocol", "written after the end");
    this.#inFlightBytes += bytes;
    if (this.#inFlightBytes > STREAM_WINDOW_BYTES) {
      throw new AtollError("link.protocol", "relayed stream overran its window");
    }
  }

  #reply({ payload, flags }: Frame): void {
    this.#replyBytes += payload.length;
    if (
      this.#role === "opener" ||
      this.#hasReplied ||
      payload.length === 0 ||
      this.#replyBytes > MESSAGE_MAX_BYTES
    )
      throw new AtollError("link.protocol", "more than one reply");
    this.#hasReplied = (flags & FrameFlag.more) === 0;
  }
}
