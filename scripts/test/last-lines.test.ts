import { PassThrough } from "node:stream";
import { buffer } from "node:stream/consumers";
import { expect, it } from "vitest";
import { LastLines } from "./last-lines.ts";

async function follow(max: number, chunks: readonly (string | Buffer)[]) {
  const [from, to] = [new PassThrough(), new PassThrough()];
  const kept = new LastLines(max);
  kept.follow(from, to);
  for (const chunk of chunks) from.write(chunk);
  from.on("end", () => to.end()).end();
  return { passed: (await buffer(to)).toString("utf8"), lines: kept.lines };
}

it("passes everything on and keeps the last lines, however they were cut", async () => {
  const { passed, lines } = await follow(2, ["one\ntw", "o\n\nthr", "ee"]);
  expect(passed).toBe("one\ntwo\n\nthree");
  expect(lines).toEqual(["two", "three"]);
});

it("keeps letters whole that were cut, and cuts lines that do not end", async () => {
  const [first, second] = [Buffer.from("né").subarray(0, 2), Buffer.from("né").subarray(2)];
  expect((await follow(5, [first, second])).lines).toEqual(["né"]);
  const [line] = (await follow(5, ["x".repeat(5000)])).lines;
  expect(line).toHaveLength(1000);
});
