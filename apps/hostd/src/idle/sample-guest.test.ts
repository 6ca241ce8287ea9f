import { ManualClock } from "@atoll/base/manual-clock";
import { Dispatcher } from "@atoll/protocol/dispatcher";
import { coreActivity } from "@atoll/protocol/messages/core";
import { muxPair } from "@atoll/protocol/mux-pair";
import { expect, it } from "vitest";
import { sampleGuest } from "./sample-guest.ts";

const { signal } = new AbortController();

it("asks the guest behind the link, and has no answer without one, in time or in shape", async () => {
  const clock = new ManualClock();
  const agent = new Dispatcher(() => {});
  let answer: unknown = { foreground: [], cpuMs: 12, leases: [] };
  const params = { keepAwakeMaxSeconds: 7200 };
  agent.onRequest(coreActivity, async (asked) => {
    expect(asked).toEqual(params);
    return (await answer) as never;
  });
  const { client } = muxPair({ onServerOpen: (open) => agent.dispatch(open, "host") });
  const sample = sampleGuest(() => client, clock);
  expect(await sample(params, signal)).toEqual(answer);
  answer = { foreground: [], cpuMs: -1, leases: [] };
  await expect(sample(params, signal)).rejects.toMatchObject({ code: "link.protocol" });
  answer = new Promise(() => {});
  const late = sample(params, signal);
  clock.advance(10_000);
  await expect(late).rejects.toMatchObject({ code: "request.timeout" });
  await expect(sampleGuest(() => undefined, clock)(params, signal)).rejects.toMatchObject({
    code: "link.lost",
  });
});
