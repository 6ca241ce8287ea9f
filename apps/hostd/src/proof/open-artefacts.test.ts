import { expect, test } from "vitest";
import { search } from "./open-artefacts.ts";

test("a mark is found in one piece, over the border of two, and behind a hole", async () => {
  const text = Buffer.from("..one..two..");
  const hole = Buffer.alloc(1000);
  const pieces = (...at: number[]) =>
    (async function* () {
      yield hole;
      for (const [index, from] of at.entries()) yield text.subarray(from, at[index + 1]);
      yield hole;
      yield Buffer.from("three");
    })();
  const marks = ["one", "two", "three", "four"];
  const found = ["one", "two", "three"];
  expect(await search(pieces(0), marks)).toEqual(found);
  for (let at = 1; at < text.length; at++) expect(await search(pieces(0, at), marks)).toEqual(found);
});

test("what a hole parts is no mark", async () => {
  const pieces = (async function* () {
    yield Buffer.from("tw");
    yield Buffer.alloc(1000);
    yield Buffer.from("o");
  })();
  expect(await search(pieces, ["two"])).toEqual([]);
});

test("marks that begin alike are told apart, in one piece and over the border of two", async () => {
  const text = Buffer.from("..mark-one..mark-..mark-two..");
  const found = ["mark-one", "mark-two"];
  for (let at = 0; at < text.length; at++) {
    const pieces = (async function* () {
      yield text.subarray(0, at);
      yield text.subarray(at);
    })();
    expect((await search(pieces, ["mark-one", "mark-two", "mark-three"])).sort()).toEqual(found);
  }
});
