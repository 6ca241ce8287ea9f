import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { cpus, loadavg, totalmem } from "node:os";
import { z } from "zod";
import { type Quantiles, quantiles } from "./statistics.ts";

export interface Row {
  name: string;
  unit: string;
  ours: Quantiles;
  reference: Quantiles & { name: string };
  /** Of the medians: ours ÷ reference. */
  ratio: number;
  goal: string;
  /** Null where no goal was set. */
  pass: boolean | null;
}

export interface RowInput {
  name: string;
  unit: string;
  ours: readonly number[];
  reference: { name: string; samples: readonly number[] };
  /** Compared with the ratio, or with ours for `absolute`. */
  goal: { atMost: number; of: "ratio" | "ours" } | undefined;
}

export function row(input: RowInput): Row {
  const ours = quantiles(input.ours);
  const reference = { name: input.reference.name, ...quantiles(input.reference.samples) };
  const ratio = reference.p50 === 0 ? Number.POSITIVE_INFINITY : ours.p50 / reference.p50;
  const measured = input.goal?.of === "ours" ? ours.p50 : ratio;
  return {
    name: input.name,
    unit: input.unit,
    ours,
    reference,
    ratio,
    goal: input.goal === undefined ? "reported" : `${input.goal.of} ≤ ${input.goal.atMost}`,
    pass: input.goal === undefined ? null : measured <= input.goal.atMost,
  };
}

export function printRow(each: Row): void {
  const figure = (value: number) => (value >= 100 ? value.toFixed(0) : value.toFixed(2));
  const cells = [
    each.name.padEnd(42),
    `${figure(each.ours.p50)} / ${figure(each.ours.p99)} ${each.unit}`.padEnd(26),
    `${figure(each.reference.p50)} / ${figure(each.reference.p99)} ${each.reference.name}`.padEnd(44),
    each.ratio.toFixed(3).padStart(8),
    each.goal.padEnd(14),
    each.pass === null ? "" : each.pass ? "pass" : "MISS",
  ];
  console.log(cells.join("  "));
}

const earlier = z.object({
  rows: z.array(z.custom<Row>((value) => typeof value === "object" && value !== null)),
});

/** Replaces the rows of this run in the file; rows of suites that did not run stay, with the commit they were measured at. */
export function writeResults(path: string, isolation: string, rows: readonly Row[]): void {
  const machine = {
    cpu: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    memoryGib: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    load1AtEnd: loadavg()[0],
  };
  const commit = execFileSync("git", ["rev-parse", "HEAD"], { encoding: "utf8" }).trim();
  const measuredAt = new Date().toISOString();
  const known = existsSync(path) ? earlier.parse(JSON.parse(readFileSync(path, "utf8"))).rows : [];
  const kept = known.filter(({ name }) => !rows.some((row) => row.name === name));
  const all = [...kept, ...rows.map((row) => ({ ...row, commit }))];
  writeFileSync(path, `${JSON.stringify({ machine, isolation, commit, measuredAt, rows: all }, null, 2)}\n`);
}
