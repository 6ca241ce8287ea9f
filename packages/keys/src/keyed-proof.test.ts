import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { areSameProof, keyedProof } from "./keyed-proof.ts";

test("a proof is of its key, its purpose and its text", () => {
  const key = randomBytes(32);
  const proof = keyedProof(key, "snapshot-seal", "text");
  expect(proof).toMatch(/^[0-9a-f]{64}$/);
  expect(areSameProof(proof, keyedProof(key, "snapshot-seal", "text"))).toBe(true);
  const others = [
    keyedProof(randomBytes(32), "snapshot-seal", "text"),
    keyedProof(key, "checkpoint-seal", "text"),
    keyedProof(key, "snapshot-seal", "text "),
    "",
    proof.slice(2),
  ];
  for (const other of others) expect(areSameProof(proof, other)).toBe(false);
});
