const FIRST_BYTES = 16 * 1024;

/** The newest bytes of a stream, addressed by their offset since its beginning. Grows up to `maxBytes`, then forgets. */
export class ReplayRing {
  readonly #maxBytes: number;
  #buffer = new Uint8Array(FIRST_BYTES);
  #end = 0;
  #kept = 0;

  /** `maxBytes` is a power of two times 16 KiB. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get start(): number {
    return this.#end - this.#kept;
  }

  get end(): number {
    return this.#end;
  }

  append(bytes: Uint8Array): void {
    this.#growFor(this.#kept + bytes.length);
    const size = this.#buffer.length;
    // Of a chunk larger than the ring only its end is kept.
    const kept = bytes.length > size ? bytes.subarray(bytes.length - size) : bytes;
    this.#put(kept, (this.#end + bytes.length - kept.length) % size);
    this.#end += bytes.length;
    this.#kept = Math.min(this.#kept + bytes.length, size);
  }

  /** Up to `maxBytes` from `offset` on, at least one if there are any, as they lie here: valid until the next append. */
  view(offset: number, maxBytes: number): Uint8Array {
    if (offset < this.start || offset > this.#end) throw new RangeError(`offset ${offset} is not kept`);
    const at = offset % this.#buffer.length;
    return this.#buffer.subarray(at, at + Math.min(maxBytes, this.#end - offset));
  }

  /** A copy of up to `maxBytes` from `offset` on, which must lie in `start..end`. */
  read(offset: number, maxBytes: number): Uint8Array {
    if (offset < this.start || offset > this.#end) throw new RangeError(`offset ${offset} is not kept`);
    const length = Math.min(maxBytes, this.#end - offset);
    const at = offset % this.#buffer.length;
    const first = this.#buffer.slice(at, Math.min(at + length, this.#buffer.length));
    if (first.length === length) return first;
    const bytes = new Uint8Array(length);
    bytes.set(first);
    bytes.set(this.#buffer.subarray(0, length - first.length), first.length);
    return bytes;
  }

  #growFor(bytes: number): void {
    let size = this.#buffer.length;
    while (size < bytes && size < this.#maxBytes) size *= 2;
    if (size === this.#buffer.length) return;
    const kept = this.read(this.start, this.#kept);
    this.#buffer = new Uint8Array(size);
    this.#put(kept, this.start % size);
  }

  #put(bytes: Uint8Array, at: number): void {
    const first = this.#buffer.length - at;
    if (bytes.length <= first) {
      this.#buffer.set(bytes, at);
      return;
    }
    this.#buffer.set(bytes.subarray(0, first), at);
    this.#buffer.set(bytes.subarray(first), 0);
  }
}
