import { expect, it } from "vitest";
import { releaseBuffer } from "./release-buffer.ts";

it("leaves a large buffer empty, also where it was a part, and one of the pool alone", () => {
  const large = Buffer.alloc(1024 * 1024, 1);
  const part = large.subarray(10, 20);
  releaseBuffer(part);
  expect([large.length, part.length]).toEqual([0, 0]);
  const [small, neighbour] = [Buffer.from("small"), Buffer.from("neighbour")];
  releaseBuffer(small);
  expect([small.toString(), neighbour.toString()]).toEqual(["small", "neighbour"]);
});
