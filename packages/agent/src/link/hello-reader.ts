import { AtollError } from "@atoll/protocol/atoll-error";
import { FrameKind } from "@atoll/protocol/frame";
import { decodeJson } from "@atoll/protocol/json-payload";
import { FRAME_HEADER_BYTES } from "@atoll/protocol/limits";
import { type LinkHello, linkHello } from "@atoll/protocol/link-handshake";

/** Takes the HELLO frame that follows the token, byte by byte if need be, and leaves what comes after it. */
export class HelloReader {
  #bytes: Uint8Array = new Uint8Array(0);

  /** @throws AtollError link.protocol when it is no HELLO; then only a new token helps. */
  push(chunk: Uint8Array): { hello: LinkHello; rest: Uint8Array } | undefined {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
    const bytes = this.#bytes;
    if (bytes.length < FRAME_HEADER_BYTES) return undefined;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (view.getUint8(0) !== FrameKind.hello || view.getUint8(1) !== 0 || view.getUint32(4) !== 0) {
      throw new AtollError("link.protocol", "no HELLO behind the token");
    }
    const end = FRAME_HEADER_BYTES + view.getUint16(2);
    if (bytes.length < end) return undefined;
    const parsed = linkHello.safeParse(decodeJson(bytes.subarray(FRAME_HEADER_BYTES, end)));
    if (!parsed.success) throw new AtollError("link.protocol", "HELLO out of shape", { cause: parsed.error });
    return { hello: parsed.data, rest: bytes.subarray(end) };
  }
}
