/** As `/proc/swaps` lists them. */
const FIRST_COLUMN = /^(\S+)\s/;
/** Compressed memory: it never leaves it. */
const IN_MEMORY = /^\/dev\/zram\d+$/;

/**
 * Swap that memory of machines, keys among it, may be written to. Whether a device encrypts what it is given is for the
 * operator to know.
 */
export function plainSwap(procSwaps: string): string[] {
  return procSwaps
    .split("\n")
    .slice(1)
    .flatMap((line) => FIRST_COLUMN.exec(line)?.[1] ?? [])
    .filter((name) => !IN_MEMORY.test(name));
}
