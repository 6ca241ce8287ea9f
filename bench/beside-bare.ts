import { bareRestore } from "./b0.ts";
import type { LifecycleOptions } from "./lifecycle.ts";
import type { RowInput } from "./report.ts";
import { interleaved } from "./statistics.ts";

/** Adds a row of milliseconds beside bare restores in turn with them; answers what those took. */
export async function besideBare(
  { bare, add, pairs, warmups }: Pick<LifecycleOptions, "bare" | "add" | "pairs" | "warmups">,
  { name, atMost }: { name: string; atMost: number },
  ours: () => Promise<number>,
): Promise<{ ours: number[]; reference: RowInput["reference"] }> {
  const samples = await interleaved(pairs, warmups, ours, () => bareRestore(bare));
  const reference = { name: "bare restore", samples: samples.reference };
  add({ name, unit: "ms", ours: samples.ours, reference, goal: { atMost, of: "ratio" } });
  return { ours: samples.ours, reference };
}
