import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeBase64, encodeBase64 } from "./base64-bytes.ts";

test("is the base64 that everybody else writes and reads", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const text = encodeBase64(bytes);
      expect(text.toString("latin1")).toBe(Buffer.from(bytes).toString("base64"));
      expect(decodeBase64(text)).toEqual(new Uint8Array(bytes));
    }),
  );
});

test.each(["AAA", "AA-_", "A\\u002", "====", "AAAA\n==="])("%j is not base64", (text) => {
  expect(decodeBase64(Buffer.from(text))).toBeUndefined();
});
