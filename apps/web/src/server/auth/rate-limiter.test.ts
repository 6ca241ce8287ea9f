import { ManualClock } from "@atoll/base/manual-clock";
import { describe, expect, it } from "vitest";
import { RateLimiter } from "./rate-limiter.ts";

function limiter(maxKeys = 10) {
  const clock = new ManualClock();
  return { clock, limits: new RateLimiter({ capacity: 3, windowMs: 30_000, maxKeys, clock }) };
}

describe("rate limiter", () => {
  it("refuses after the capacity and says when to come back", () => {
    const { clock, limits } = limiter();
    for (let index = 0; index < 3; index += 1) {
      limits.check("a");
      limits.charge("a");
    }
    expect(() => limits.check("a")).toThrowError(
      expect.objectContaining({ code: "request.rate_limited", details: { retryAfterSeconds: 10 } }),
    );
    expect(() => limits.check("b")).not.toThrow();
    clock.advance(10_000);
    expect(() => limits.check("a")).not.toThrow();
  });

  it("forgets a key on request", () => {
    const { limits } = limiter();
    for (let index = 0; index < 5; index += 1) limits.charge("a");
    expect(() => limits.check("a")).toThrow();
    limits.forget("a");
    expect(() => limits.check("a")).not.toThrow();
  });

  it("keeps a bounded number of keys, dropping the one charged longest ago", () => {
    const { limits } = limiter(2);
    for (const key of ["a", "a", "a", "b", "b", "b", "c"]) limits.charge(key);
    expect(() => limits.check("a")).not.toThrow();
    expect(() => limits.check("b")).toThrow();
  });
});
