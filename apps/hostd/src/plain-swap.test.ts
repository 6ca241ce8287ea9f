import { readFile } from "node:fs/promises";
import { expect, it } from "vitest";
import { plainSwap } from "./plain-swap.ts";

const HEADER = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";

it.each([
  ["", []],
  ["/dev/zram0                              partition\t8388604\t\t0\t\t100\n", []],
  [
    "/dev/dm-1                               partition\t8388604\t\t0\t\t-2\n/swap.img file\t1024\t\t0\t\t-3\n",
    ["/dev/dm-1", "/swap.img"],
  ],
])("finds what memory can be written to: %j", (rows, found) => {
  expect(plainSwap(HEADER + rows)).toEqual(found);
});

it("reads what this kernel says", async () => {
  for (const name of plainSwap(await readFile("/proc/swaps", "utf8"))) expect(name).toMatch(/^\//);
});
