/**
 * Pages of a stopped guest that are not what the file behind its RAM has in the same place, found by comparing. They are
 * read ahead on other threads: a guest that booted wrote most of its RAM, and stands still for as long as this takes.
 */
import { type GuestMemory, PAGE_BYTES, type PageRun } from "./guest-memory.ts";

export type PageSource = Pick<GuestMemory, "readLater">;

/** Of one read. */
const PIECE_PAGES = 256;
const READ_AHEAD = 2;

export interface DifferingPages {
  first: number;
  /** The reader's until it asks for the next. */
  bytes: Buffer;
}

interface Piece {
  own: Buffer;
  base: Buffer;
}

/** @param runs each page once; what is in none of them is not looked at */
export async function* differingPages(
  runs: readonly PageRun[],
  memory: PageSource,
  base: PageSource,
): AsyncGenerator<DifferingPages> {
  const pieces = piecesOf(runs);
  const buffers: Piece[] = Array.from({ length: READ_AHEAD + 1 }, () => ({
    own: Buffer.allocUnsafeSlow(PIECE_PAGES * PAGE_BYTES),
    base: Buffer.allocUnsafeSlow(PIECE_PAGES * PAGE_BYTES),
  }));
  const reading: { run: PageRun; piece: Piece; reads: Promise<void>[] }[] = [];
  const readNext = (piece: Piece) => {
    const { value: run } = pieces.next();
    if (run === undefined) return;
    const lengthBytes = run.count * PAGE_BYTES;
    const reads = [
      memory.readLater(run.first, piece.own.subarray(0, lengthBytes)),
      base.readLater(run.first, piece.base.subarray(0, lengthBytes)),
    ];
    // One may fail while the reader is busy with the piece before: whoever waits for it hears of that.
    void Promise.allSettled(reads);
    reading.push({ run, piece, reads });
  };
  try {
    for (const piece of buffers) readNext(piece);
    for (let next = reading[0]; next !== undefined; next = reading[0]) {
      await Promise.all(next.reads);
      reading.shift();
      yield* differing(next.run, next.piece);
      readNext(next.piece);
    }
  } finally {
    // All of them: what is read after the wiping would stay.
    await Promise.allSettled(reading.flatMap(({ reads }) => reads));
    for (const { own } of buffers) own.fill(0);
  }
}

function* piecesOf(runs: readonly PageRun[]): Generator<PageRun> {
  for (const { first, count } of runs) {
    for (let done = 0; done < count; done += PIECE_PAGES) {
      yield { first: first + done, count: Math.min(PIECE_PAGES, count - done) };
    }
  }
}

function* differing({ first, count }: PageRun, { own, base }: Piece): Generator<DifferingPages> {
  let since: number | undefined;
  for (let page = 0; page <= count; page++) {
    const [start, end] = [page * PAGE_BYTES, (page + 1) * PAGE_BYTES];
    const isSame = page === count || base.compare(own, start, end, start, end) === 0;
    if (!isSame) since ??= page;
    else if (since !== undefined) {
      yield { first: first + since, bytes: own.subarray(since * PAGE_BYTES, start) };
      since = undefined;
    }
  }
}
