import { AtollError } from "./atoll-error.ts";
import { FRAME_PAYLOAD_MAX_BYTES } from "./limits.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

export function encodeJson(value: unknown): Uint8Array<ArrayBuffer> {
  return encoder.encode(JSON.stringify(value));
}

/**
 * What an OPEN carries: one frame, whole. A relay encodes anew what it decoded, and JSON can grow on that way (1e20
 * becomes 21 digits): it is refused here, before the connection that others share would fail on it.
 * @throws AtollError request.too_large
 */
export function encodeOpen(name: string, params: unknown): Uint8Array<ArrayBuffer> {
  const bytes = encodeJson({ name, params });
  if (bytes.length > FRAME_PAYLOAD_MAX_BYTES) {
    throw new AtollError("request.too_large", undefined, {
      details: { sizeBytes: bytes.length, limitBytes: FRAME_PAYLOAD_MAX_BYTES },
    });
  }
  return bytes;
}

/** @throws AtollError link.protocol when the bytes are not UTF-8 JSON. */
export function decodeJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(decoder.decode(bytes));
  } catch (cause) {
    throw new AtollError("link.protocol", "payload is not JSON", { cause });
  }
}
