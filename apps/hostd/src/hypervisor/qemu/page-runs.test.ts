import { expect, test } from "vitest";
import { joinPageRuns, readPageRuns, writePageRuns } from "./page-runs.ts";

test("a table of runs is read as it was written, and anything else is refused", () => {
  const runs = [
    { first: 0, count: 1 },
    { first: 0xffff_ff00, count: 255 },
  ];
  const table = writePageRuns(runs);
  expect(readPageRuns(table)).toEqual(runs);
  expect(readPageRuns(Buffer.alloc(0))).toEqual([]);
  expect(() => readPageRuns(table.subarray(0, 12))).toThrow(
    expect.objectContaining({ code: "vm.monitor_failed" }),
  );
});

test("pages of either are in the union once and in order, and the runs given stay as they are", () => {
  const random = { one: [] as boolean[], other: [] as boolean[] };
  let seed = 7;
  const next = () => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed;
  };
  for (let page = 0; page < 500; page++) {
    random.one.push(next() % 3 === 0);
    random.other.push(next() % 2 === 0);
  }
  const runsOf = (pages: readonly boolean[]) =>
    pages.flatMap((isIn, first) => (isIn ? [{ first, count: 1 }] : []));
  const [one, other] = [runsOf(random.one), joinPageRuns([], runsOf(random.other))];
  const before = structuredClone({ one, other });
  const joined = joinPageRuns(one, other);
  expect({ one, other }).toEqual(before);
  const pages = joined.flatMap(({ first, count }) =>
    Array.from({ length: count }, (_, index) => first + index),
  );
  expect(pages).toEqual(random.one.flatMap((isIn, page) => (isIn || random.other[page] ? [page] : [])));
  for (const [index, { first }] of joined.slice(1).entries()) {
    const before = joined[index];
    expect(first).toBeGreaterThan((before?.first ?? 0) + (before?.count ?? 0));
  }
});
