const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();
/** As far as git looks for a NUL byte. */
const BINARY_PROBE_BYTES = 8000;

/** Undefined when it is not text: saving it back would change it. */
export function decodeFileText(bytes: Uint8Array): string | undefined {
  if (bytes.subarray(0, BINARY_PROBE_BYTES).includes(0)) return undefined;
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

export function encodeFileText(text: string): Uint8Array {
  return encoder.encode(text);
}
