import { expect, test } from "vitest";
import { TokenBucket } from "./token-bucket.ts";

test("lets a burst through, then asks for exactly the time that pays the debt", () => {
  let now = 0;
  const bucket = new TokenBucket({ perSecond: 100, burst: 50, now: () => now });
  expect([bucket.take(50), bucket.take(10)]).toEqual([0, 100]);
  now += 100;
  expect([bucket.take(0), bucket.take(1)]).toEqual([0, 10]);
  now += 3_600_000;
  expect([bucket.take(50), bucket.take(1)]).toEqual([0, 10]);
});
