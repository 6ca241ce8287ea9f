/** All of a machine's saved state. */
export async function collect(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts);
}

/** That is not there yet. */
export async function* late(bytes: Promise<Buffer>): AsyncGenerator<Buffer> {
  yield await bytes;
}

/** In sizes that fit no record. */
export async function* pieces(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += 777_777) yield bytes.subarray(at, at + 777_777);
}
