import { ManualClock } from "@atoll/base/manual-clock";
import { expect, test } from "vitest";
import { UsedTickets } from "./used-tickets.ts";

test("a ticket is used once, and forgotten when it could not be shown any more", () => {
  const clock = new ManualClock();
  const used = new UsedTickets(clock);
  const expiry = clock.now() / 1000 + 30;
  used.use("a", expiry);
  used.use("b", expiry + 30);
  expect(() => used.use("a", expiry)).toThrow(expect.objectContaining({ code: "ticket.used" }));
  expect(used.size).toBe(2);
  clock.advance(31_000);
  used.use("c", expiry + 60);
  expect(used.size).toBe(2);
});
