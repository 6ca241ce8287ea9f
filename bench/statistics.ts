/** Quantiles and interleaving for measurements; no timing here is ever asserted in a test. */

export interface Quantiles {
  p50: number;
  p99: number;
}

export function quantiles(samples: readonly number[]): Quantiles {
  if (samples.length === 0) throw new RangeError("no samples");
  const sorted = [...samples].sort((a, b) => a - b);
  return { p50: at(sorted, 0.5), p99: at(sorted, 0.99) };
}

/** Linear between neighbours, as numpy does it. */
function at(sorted: readonly number[], fraction: number): number {
  const position = (sorted.length - 1) * fraction;
  const below = sorted[Math.floor(position)] ?? 0;
  const above = sorted[Math.ceil(position)] ?? below;
  return below + (above - below) * (position - Math.floor(position));
}

export async function timedMs(work: () => Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  await work();
  return performance.now() - startMs;
}

/** ABAB…, so that a drift of the machine's speed meets both sides alike. The first `warmups` pairs are dropped. */
export async function interleaved(
  pairs: number,
  warmups: number,
  ours: () => Promise<number>,
  reference: () => Promise<number>,
): Promise<{ ours: number[]; reference: number[] }> {
  const kept = { ours: [] as number[], reference: [] as number[] };
  for (let pair = 0; pair < pairs + warmups; pair++) {
    const a = await ours();
    const b = await reference();
    if (pair < warmups) continue;
    kept.ours.push(a);
    kept.reference.push(b);
  }
  return kept;
}
