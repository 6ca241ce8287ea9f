/**
 * Gives a large buffer's memory back at once; nobody may use it any more, and whoever does finds it empty. Left to the
 * collector, each 64 MB of buffers cost a look at the whole heap: unpacking a guest's memory spent most of its CPU on that.
 */
export function releaseBuffer({ buffer }: Uint8Array): void {
  // Smaller ones may share their memory with others, see Buffer.poolSize.
  if (buffer instanceof ArrayBuffer && buffer.byteLength > Buffer.poolSize) buffer.transfer(0);
}
