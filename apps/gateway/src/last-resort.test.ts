import pino from "pino";
import { expect, test } from "vitest";
import { LastResort } from "./last-resort.ts";

function lastResort() {
  const seen = { now: 0, givenUp: 0 };
  const subject = new LastResort({
    log: pino({ level: "silent" }),
    now: () => seen.now,
    giveUp: () => {
      seen.givenUp += 1;
    },
  });
  return { subject, seen };
}

test("drops the client whose packet came last, once", () => {
  const { subject, seen } = lastResort();
  const dropped: string[] = [];
  subject.suspect(() => dropped.push("first"));
  subject.suspect(() => dropped.push("second"));
  subject.handle(new Error("boom"));
  subject.handle(new Error("boom"));
  expect([dropped, seen.givenUp]).toEqual([["second"], 0]);
});

test("gives up when faults pile up within a minute", () => {
  const { subject, seen } = lastResort();
  for (let at = 0; at < 30; at += 1) {
    subject.handle(new Error("rare"));
    seen.now += 10_000;
  }
  expect(seen.givenUp).toBe(0);
  for (let at = 0; at < 11; at += 1) subject.handle(new Error("often"));
  expect(seen.givenUp).toBeGreaterThan(0);
});
