import type { ResultOf } from "@atoll/protocol/message";
import type { coreActivity } from "@atoll/protocol/messages/core";
import type { Evidence } from "./judge-idle.ts";

export type ActivitySample = ResultOf<typeof coreActivity>;

export interface SampleTime {
  /** When the answer came, monotonic. */
  atMs: number;
  /** The same moment as wall time, which is what the guest speaks. */
  wallMs: number;
  /** Evidence of this sample holds until then. */
  validUntilMs: number;
  /** CPU is not judged over less: the guest counts it in ticks. */
  shortestSpanMs: number;
  /** The plan's. */
  leaseMaxMs: number;
}

/** Above what an idle system's own timers need. */
const CPU_FLOOR_SHARE = 0.05;
const CPU_FLOOR_MS = 100;

/** Turns what a guest says of itself into evidence, comparing with what it said before. */
export class ActivityReader {
  #cpu: { cpuMs: number; atMs: number } | undefined;
  #cpuEvidence: Evidence | undefined;
  /** Wall time in a lease is read once: a clock that jumps later, on either side, moves no end. */
  #leases = new Map<string, { seenAtMs: number; askedUntilMs: number }>();

  read(sample: ActivitySample, time: SampleTime): Evidence[] {
    const claim = { atMs: time.atMs, holdsUntilMs: time.validUntilMs, isLease: false, isAuthorised: false };
    const evidence: Evidence[] = sample.foreground.map(({ command }) => ({
      ...claim,
      kind: "foreground",
      detail: command,
    }));
    this.#judgeCpu(sample.cpuMs, time, claim);
    if (this.#cpuEvidence !== undefined) evidence.push(this.#cpuEvidence);
    return [...evidence, ...this.#readLeases(sample, time)];
  }

  #judgeCpu(
    cpuMs: number,
    { atMs, shortestSpanMs }: SampleTime,
    claim: Omit<Evidence, "kind" | "detail">,
  ): void {
    const previous = this.#cpu;
    if (previous !== undefined && atMs - previous.atMs < shortestSpanMs) return;
    this.#cpu = { cpuMs, atMs };
    this.#cpuEvidence = undefined;
    // A guest that was reset counts from the beginning.
    if (previous === undefined || cpuMs < previous.cpuMs) return;
    const usedMs = cpuMs - previous.cpuMs;
    const share = usedMs / (atMs - previous.atMs);
    if (usedMs < CPU_FLOOR_MS || share < CPU_FLOOR_SHARE) return;
    // In steps, so that a steady load is no news at every sample.
    const percent = Math.max(10, Math.round(share * 10) * 10);
    this.#cpuEvidence = { ...claim, kind: "cpu", detail: `about ${percent} % of a processor` };
  }

  #readLeases({ leases }: ActivitySample, { atMs, wallMs, leaseMaxMs }: SampleTime): Evidence[] {
    const known = this.#leases;
    this.#leases = new Map();
    return leases.map(({ detail, untilMs }) => {
      const key = `${untilMs} ${detail}`;
      const lease = known.get(key) ?? { seenAtMs: atMs, askedUntilMs: atMs + Math.max(untilMs - wallMs, 0) };
      this.#leases.set(key, lease);
      const { seenAtMs, askedUntilMs } = lease;
      const holdsUntilMs = Math.min(askedUntilMs, seenAtMs + leaseMaxMs);
      return { kind: "lease", detail, atMs, holdsUntilMs, askedUntilMs, isLease: true, isAuthorised: false };
    });
  }
}
