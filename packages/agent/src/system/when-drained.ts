import type { Writable } from "node:stream";

/** Resolves when a writable takes more, or is closed and never will. */
export function whenDrained(writable: Writable): Promise<void> {
  if (writable.closed || !writable.writableNeedDrain) return Promise.resolve();
  return new Promise((resolve) => {
    const settle = () => {
      writable.off("drain", settle);
      writable.off("close", settle);
      resolve();
    };
    writable.on("drain", settle);
    writable.on("close", settle);
  });
}
