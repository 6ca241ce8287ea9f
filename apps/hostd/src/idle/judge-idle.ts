import type { AwakeReason } from "@atoll/protocol/workspace-status";

/** Something seen that is work, or will be until a known time. All times are monotonic milliseconds. */
export interface Evidence {
  kind: AwakeReason["kind"];
  detail: string;
  /** When it was last seen. */
  atMs: number;
  /** Keeps awake until then, unless it is seen again. */
  holdsUntilMs: number;
  /** Of a lease: until when it was asked for. */
  askedUntilMs?: number;
  /** Promised: work up to `holdsUntilMs`, not only when it was seen. */
  isLease: boolean;
  /** An act of an authorised caller. Everything else is the guest's word or doing, and is bounded as a whole. */
  isAuthorised: boolean;
}

export interface IdleFacts {
  /** When it began to run here. Counts as an authorised act. */
  armedAtMs: number;
  evidence: readonly Evidence[];
  /** The newest work that `evidence` may no longer hold. */
  lastWork: { evidence: Evidence; atMs: number };
}

export interface IdleSettings {
  idleMs: number;
  /** How long the guest alone may keep itself awake after the last authorised act. */
  unattendedMaxMs: number;
  /** How long it may by leases alone, however often it renews them. */
  leaseMaxMs: number;
}

export interface IdleVerdict {
  /** What keeps it awake now, newest first. */
  awakeBecause: Evidence[];
  lastWork: { evidence: Evidence; atMs: number };
  /** Absent while something keeps it awake. */
  pausesAtMs: number | undefined;
  warnsAtMs: number | undefined;
  /** Until then the verdict stays, if nothing else is seen. */
  nextAtMs: number;
}

const WARN_LEAD_MAX_MS = 300_000;

/**
 * Idle is who neither was used nor worked for `idleMs`. Nothing here has an effect: the same facts at the same time give
 * the same verdict.
 */
export function judgeIdle(facts: IdleFacts, settings: IdleSettings, nowMs: number): IdleVerdict {
  const { armedAtMs, evidence } = facts;
  const authorised = evidence.filter(({ isAuthorised }) => isAuthorised);
  const attendedAtMs = Math.max(armedAtMs, ...authorised.map(({ atMs }) => atMs));
  const claimsEndMs = attendedAtMs + settings.unattendedMaxMs;
  const leasesEndMs = Math.min(claimsEndMs, attendedAtMs + settings.leaseMaxMs);
  const endOf = ({ isAuthorised, isLease, holdsUntilMs }: Evidence) =>
    isAuthorised ? holdsUntilMs : Math.min(holdsUntilMs, isLease ? leasesEndMs : claimsEndMs);
  const workedAtMs = (one: Evidence) =>
    Math.min(one.isLease ? Math.min(endOf(one), nowMs) : one.atMs, one.isAuthorised ? nowMs : claimsEndMs);

  let { lastWork } = facts;
  for (const one of evidence) {
    const atMs = workedAtMs(one);
    if (atMs > lastWork.atMs) lastWork = { evidence: one, atMs };
  }
  const awakeBecause = evidence
    .filter((one) => nowMs < endOf(one))
    .sort((a, b) => b.atMs - a.atMs)
    .map((one) => (endOf(one) < one.holdsUntilMs ? { ...one, holdsUntilMs: endOf(one) } : one));
  if (awakeBecause.length > 0) {
    const nextAtMs = Math.min(...awakeBecause.map(endOf));
    return { awakeBecause, lastWork, pausesAtMs: undefined, warnsAtMs: undefined, nextAtMs };
  }
  const pausesAtMs = Math.max(lastWork.atMs, armedAtMs) + settings.idleMs;
  const warnsAtMs = pausesAtMs - Math.min(WARN_LEAD_MAX_MS, settings.idleMs / 3);
  return { awakeBecause, lastWork, pausesAtMs, warnsAtMs, nextAtMs: pausesAtMs };
}
