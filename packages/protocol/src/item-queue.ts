import { AtollError } from "./atoll-error.ts";
import { DATA_PAYLOAD_MAX_BYTES, STREAM_ITEMS_MAX } from "./limits.ts";

export type StreamItem =
  | { kind: "data"; bytes: Uint8Array; isSecondary: boolean }
  /** Unparsed. */
  | { kind: "event"; value: unknown };

export interface QueuedItem {
  item: StreamItem;
  /** Of the window; given back when the item is read. */
  creditBytes: number;
  /** Of the connection's budget for messages. */
  heldBytes: number;
}

/**
 * What a stream's reader has not read yet. Bytes are copied, since the smallest frame may be a view of a large read, and
 * joined with those before them, since a window full of one-byte frames would else be a quarter of a million objects.
 */
export class ItemQueue {
  readonly #items: QueuedItem[] = [];

  get isEmpty(): boolean {
    return this.#items.length === 0;
  }

  shift(): QueuedItem | undefined {
    return this.#items.shift();
  }

  /** The bytes of the budget in what nobody may read any more; the caller's now. */
  handOver(): number {
    let heldBytes = 0;
    for (const queued of this.#items) {
      heldBytes += queued.heldBytes;
      queued.heldBytes = 0;
    }
    return heldBytes;
  }

  /** @throws AtollError link.protocol */
  push(queued: QueuedItem): void {
    const { item } = queued;
    if (item.kind === "data" && this.#join(item.bytes, item.isSecondary)) return;
    if (this.#items.length >= STREAM_ITEMS_MAX) throw new AtollError("link.protocol", "peer sends crumbs");
    const own: StreamItem = item.kind === "data" ? { ...item, bytes: new Uint8Array(item.bytes) } : item;
    this.#items.push({ ...queued, item: own });
  }

  #join(bytes: Uint8Array, isSecondary: boolean): boolean {
    const last = this.#items.at(-1);
    if (last?.item.kind !== "data" || last.item.isSecondary !== isSecondary) return false;
    const before = last.item.bytes;
    const size = before.length + bytes.length;
    if (size > DATA_PAYLOAD_MAX_BYTES) return false;
    let room = new Uint8Array(before.buffer);
    if (size > room.length) {
      room = new Uint8Array(Math.min(2 * size, DATA_PAYLOAD_MAX_BYTES));
      room.set(before);
    }
    room.set(bytes, before.length);
    last.item.bytes = room.subarray(0, size);
    last.creditBytes += bytes.length;
    return true;
  }
}
