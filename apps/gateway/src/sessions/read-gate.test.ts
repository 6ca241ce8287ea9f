import { expect, test } from "vitest";
import { ReadGate } from "./read-gate.ts";

test("the source is read only while no reason holds", () => {
  const calls: string[] = [];
  const gate = new ReadGate<"a" | "b">({
    pause: () => calls.push("pause"),
    resume: () => calls.push("resume"),
  });
  gate.close("a");
  gate.close("a");
  gate.close("b");
  gate.open("a");
  expect(calls).toEqual(["pause"]);
  gate.open("a");
  gate.open("b");
  expect(calls).toEqual(["pause", "resume"]);
});
