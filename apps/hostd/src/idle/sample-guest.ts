import type { Clock } from "@atoll/base/clock";
import { AtollError } from "@atoll/protocol/atoll-error";
import { call } from "@atoll/protocol/call";
import { coreActivity } from "@atoll/protocol/messages/core";
import type { Mux } from "@atoll/protocol/mux";
import type { WorkMeterOptions } from "./work-meter.ts";

/** A busy emulated guest answers within seconds. */
const ANSWER_TIMEOUT_MS = 10_000;

/** What a `WorkMeter` asks the guest with. */
export function sampleGuest(mux: () => Mux | undefined, clock: Clock): WorkMeterOptions["sample"] {
  return async (params, signal) => {
    const link = mux();
    if (link === undefined) throw new AtollError("link.lost");
    return call(link, coreActivity, params, { timeoutMs: ANSWER_TIMEOUT_MS, signal, clock });
  };
}
