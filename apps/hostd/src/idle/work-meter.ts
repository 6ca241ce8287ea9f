/**
 * Knows whether a running workspace is at work: collects what sessions, previews, callers and the guest itself show, has
 * it judged, and says when it is idle. Times inside are monotonic; only `status` speaks wall time.
 * Length: marks, samples, leases and timers change one verdict, and every change has to judge anew.
 */
import type { Clock } from "@atoll/base/clock";
import { toAtollError } from "@atoll/protocol/atoll-error";
import { LEASE_MAX_SECONDS } from "@atoll/protocol/limits";
import type { ParamsOf } from "@atoll/protocol/message";
import type { coreActivity } from "@atoll/protocol/messages/core";
import type { AwakeReason, WorkspaceStatus } from "@atoll/protocol/workspace-status";
import { ActivityReader, type ActivitySample } from "./activity-reader.ts";
import { type Evidence, type IdleVerdict, judgeIdle } from "./judge-idle.ts";
import { TrafficGauge } from "./traffic-gauge.ts";

export interface WorkMeterOptions {
  clock: Clock;
  idlePauseSeconds: number;
  /** The plan's: the longest lease, of the interface or of the guest. */
  leaseMaxSeconds: number;
  /** Asks the guest, and tells it the plan's bound; rejects when it cannot. */
  sample: (params: ParamsOf<typeof coreActivity>, signal: AbortSignal) => Promise<ActivitySample>;
  /** Judged on a fresh sample. Called again after a while as long as nobody pauses it. */
  onIdle: () => void;
  /** `status` changed. A few times a minute at most, whatever the guest or its user does. */
  onChange: () => void;
}

export type WorkStatus = Pick<WorkspaceStatus, "pausesAtMs" | "warnsAtMs" | "awakeBecause" | "lastWork">;

const SAMPLE_INTERVAL_MAX_MS = 30_000;
const UNATTENDED_MAX_MS = LEASE_MAX_SECONDS * 1000;
/** An idle workspace that could not be paused is tried again. */
const RETRY_MS = 60_000;
/** A sample outlives its interval by as long as its successor may take. */
const SAMPLE_GRACE_MS = 12_000;
/** A lease made at the bound is not called cut short by the moments it takes to be seen. */
const CUT_TOLERANCE_MS = 60_000;
/** Wall time is shown as it was when last read, unless it moved by more. */
const WALL_TOLERANCE_MS = 1000;
const AWAKE_REASONS_MAX = 16;
const DETAIL_MAX = 120;

export class WorkMeter implements Disposable {
  readonly #options: WorkMeterOptions;
  #idleMs: number;
  #leaseMaxMs: number;
  #armed: { atMs: number; abort: AbortController; reader: ActivityReader } | undefined;
  /** Newest act of each kind. */
  readonly #acts = new Map<AwakeReason["kind"], Evidence>();
  /** Kept while the workspace is paused. */
  #hostLease: Evidence | undefined;
  #seen: Evidence[] = [];
  #lastWork: IdleVerdict["lastWork"] | undefined;
  #verdict: IdleVerdict | undefined;
  #traffic = new TrafficGauge(0);
  #canSample = true;
  #notBeforeMs = 0;
  #wallOffsetMs: number;
  #announced = "";
  #cancelSample = () => {};
  #cancelJudge = () => {};
  #isSettling = false;

  constructor(options: WorkMeterOptions) {
    this.#options = options;
    this.#idleMs = options.idlePauseSeconds * 1000;
    this.#leaseMaxMs = options.leaseMaxSeconds * 1000;
    this.#wallOffsetMs = options.clock.now() - options.clock.monotonic();
  }

  /** It runs: the idle time begins now. Harmless when it does already, except that it begins anew. */
  arm(): void {
    this.#stop();
    const atMs = this.#now();
    this.#armed = { atMs, abort: new AbortController(), reader: new ActivityReader() };
    this.#acts.clear();
    this.#seen = [];
    this.#canSample = true;
    this.#notBeforeMs = 0;
    const started: Evidence = {
      kind: "api",
      detail: "started",
      atMs,
      holdsUntilMs: atMs,
      isLease: false,
      isAuthorised: true,
    };
    this.#lastWork = { evidence: started, atMs };
    this.#traffic = new TrafficGauge(atMs);
    this.#scheduleSample();
    this.#judge();
  }

  /** It runs no longer. `status` keeps the last work. */
  disarm(): void {
    if (this.#armed === undefined) return;
    this.#lastWork = this.#judgeNow()?.lastWork ?? this.#lastWork;
    this.#stop();
    this.#verdict = undefined;
    this.#announceIfChanged();
  }

  /** As of this moment, for whoever waited for a turn to pause it. */
  get isIdle(): boolean {
    return isDue(this.#judgeNow(), this.#now());
  }

  get status(): WorkStatus {
    const { lastWork } = this.#verdict ?? { lastWork: this.#lastWork };
    const last = lastWork && { reason: reasonOf(lastWork.evidence), atMs: this.#wall(lastWork.atMs) };
    const verdict = this.#verdict;
    const shared = last === undefined ? {} : { lastWork: last };
    if (verdict === undefined) return shared;
    const { awakeBecause, pausesAtMs, warnsAtMs } = verdict;
    if (pausesAtMs === undefined || warnsAtMs === undefined) {
      const reasons = awakeBecause.slice(0, AWAKE_REASONS_MAX).map((one) => this.#shown(one));
      return { ...shared, awakeBecause: reasons };
    }
    return {
      ...shared,
      pausesAtMs: this.#wall(Math.max(pausesAtMs, this.#notBeforeMs)),
      warnsAtMs: this.#wall(warnsAtMs),
    };
  }

  /** Wall time of the newest work since it was armed. */
  get lastWorkAtMs(): number | undefined {
    const lastWork = this.#judgeNow()?.lastWork ?? this.#lastWork;
    return lastWork === undefined ? undefined : this.#wall(lastWork.atMs);
  }

  setIdleSeconds(seconds: number): void {
    if (seconds * 1000 === this.#idleMs) return;
    this.#idleMs = seconds * 1000;
    if (this.#armed === undefined) return;
    // A momentary act holds for an interval, which may be shorter now.
    for (const [kind, act] of this.#acts) {
      const holdsUntilMs = Math.min(act.holdsUntilMs, act.atMs + this.#intervalMs);
      this.#acts.set(kind, { ...act, holdsUntilMs });
    }
    this.#scheduleSample();
    this.#judge();
  }

  /** Of leases that are held, too: each as long as if it had been made under this bound. */
  setLeaseMaxSeconds(seconds: number): void {
    this.#leaseMaxMs = seconds * 1000;
    const lease = this.#hostLease;
    if (lease !== undefined) this.#hostLease = this.#bounded(lease);
    this.#judge();
  }

  /** Wall time at which the host's own lease ends. */
  get leaseUntilMs(): number | undefined {
    const lease = this.#hostLease;
    return lease === undefined || lease.holdsUntilMs <= this.#now()
      ? undefined
      : this.#wall(lease.holdsUntilMs);
  }

  /** A lease by the interface or API, in place of the one before; 0 ends it. */
  keepAwake(seconds: number, detail: string): void {
    // What the old one was worth until now stays known.
    this.#lastWork = this.#judgeNow()?.lastWork ?? this.#lastWork;
    const atMs = this.#now();
    const askedUntilMs = atMs + seconds * 1000;
    const lease = { kind: "lease", detail, atMs, askedUntilMs, isLease: true, isAuthorised: true } as const;
    this.#hostLease = seconds <= 0 ? undefined : this.#bounded({ ...lease, holdsUntilMs: askedUntilMs });
    this.#judge();
  }

  /** The lease that a record kept over a restart. */
  restoreLease(untilMs: number, detail: string): void {
    this.keepAwake((untilMs - this.#options.clock.now()) / 1000, detail);
  }

  /** Somebody types, clicks or saves. Called for every keystroke. */
  markInput(detail: string): void {
    this.#mark("input", detail);
  }

  /** A request of an authorised caller; with `bytes` only traffic of one, which counts above a floor. */
  markPreview(port: number, bytes?: number): void {
    if (bytes === undefined) this.#mark("preview", `port ${port}`);
    else this.#traffic.addPreview(port, bytes);
  }

  markApi(detail: string): void {
    this.#mark("api", detail);
  }

  /** Passed through the policy proxy, either way. */
  addNetworkBytes(count: number): void {
    this.#traffic.addNetwork(count);
  }

  [Symbol.dispose](): void {
    this.disarm();
  }

  #mark(kind: "input" | "preview" | "api", detail: string): void {
    if (this.#armed === undefined) return;
    const atMs = this.#now();
    const known = this.#acts.get(kind);
    const holdsUntilMs = atMs + this.#intervalMs;
    this.#acts.set(kind, { kind, detail, atMs, holdsUntilMs, isLease: false, isAuthorised: true });
    // While it holds anyway there is nothing to announce; the judgement at its end finds it renewed.
    if (known === undefined || known.detail !== detail || known.holdsUntilMs <= atMs) this.#judge();
  }

  /** How often the guest is asked, and how long a momentary act shows as the reason to be awake. */
  get #intervalMs(): number {
    return Math.min(SAMPLE_INTERVAL_MAX_MS, this.#idleMs / 4);
  }

  #stop(): void {
    this.#armed?.abort.abort();
    this.#armed = undefined;
    this.#isSettling = false;
    this.#cancelSample();
    this.#cancelJudge();
  }

  #scheduleSample(): void {
    this.#cancelSample();
    this.#cancelSample = this.#options.clock.schedule(this.#intervalMs, () => {
      void this.#takeSample().then((isCurrent) => {
        if (!isCurrent) return;
        this.#scheduleSample();
        this.#judge();
      });
    });
  }

  /** False when the workspace stopped running meanwhile, and nothing was noted. */
  async #takeSample(): Promise<boolean> {
    const armed = this.#armed;
    if (armed === undefined) return false;
    let sample: ActivitySample | undefined;
    if (this.#canSample) {
      try {
        const keepAwakeMaxSeconds = this.#leaseMaxMs / 1000;
        sample = await this.#options.sample({ keepAwakeMaxSeconds }, armed.abort.signal);
      } catch (cause) {
        // An agent from before the question existed never learns to answer it.
        if (toAtollError(cause).code === "link.too_old") this.#canSample = false;
      }
    }
    if (this.#armed !== armed) return false;
    const atMs = this.#now();
    const validUntilMs = atMs + 2 * this.#intervalMs + SAMPLE_GRACE_MS;
    this.#lastWork = this.#judgeNow()?.lastWork ?? this.#lastWork;
    const wallMs = this.#options.clock.now();
    const time = { atMs, validUntilMs, shortestSpanMs: this.#intervalMs / 2 };
    const traffic = this.#traffic.read(time);
    if (traffic?.previewPort !== undefined) this.#mark("preview", `port ${traffic.previewPort}`);
    // Without an answer, what was seen before holds for as long as it said.
    const kept = this.#seen.filter(({ kind }) =>
      kind === "network" ? traffic === undefined : sample === undefined,
    );
    const seen =
      sample === undefined
        ? []
        : armed.reader.read(sample, { ...time, wallMs, leaseMaxMs: this.#leaseMaxMs });
    this.#seen = [...kept, ...seen, ...(traffic?.network === undefined ? [] : [traffic.network])];
    return true;
  }

  #judgeNow(): IdleVerdict | undefined {
    const armed = this.#armed;
    const lastWork = this.#lastWork;
    if (armed === undefined || lastWork === undefined) return undefined;
    const lease = this.#hostLease === undefined ? [] : [this.#hostLease];
    return judgeIdle(
      { armedAtMs: armed.atMs, evidence: [...this.#acts.values(), ...lease, ...this.#seen], lastWork },
      { idleMs: this.#idleMs, unattendedMaxMs: UNATTENDED_MAX_MS, leaseMaxMs: this.#leaseMaxMs },
      this.#now(),
    );
  }

  #judge(): void {
    const verdict = this.#judgeNow();
    if (verdict === undefined) return;
    this.#verdict = verdict;
    this.#lastWork = verdict.lastWork;
    this.#cancelJudge();
    const nowMs = this.#now();
    if (isDue(verdict, nowMs) && nowMs >= this.#notBeforeMs) void this.#settle();
    else {
      const atMs = isDue(verdict, nowMs) ? this.#notBeforeMs : verdict.nextAtMs;
      this.#cancelJudge = this.#options.clock.schedule(atMs - nowMs, () => this.#judge());
    }
    this.#announceIfChanged();
  }

  /** Looks once more before it calls anybody idle: work may have begun since the last sample. */
  async #settle(): Promise<void> {
    if (this.#isSettling) return;
    this.#isSettling = true;
    const isCurrent = await this.#takeSample();
    if (!isCurrent) return;
    this.#isSettling = false;
    const verdict = this.#judgeNow();
    if (!isDue(verdict, this.#now())) return this.#judge();
    this.#notBeforeMs = this.#now() + RETRY_MS;
    this.#judge();
    this.#options.onIdle();
  }

  #announceIfChanged(): void {
    const { lastWork, ...status } = this.status;
    // While something holds, the time of the newest work changes all along.
    const key = JSON.stringify(status.awakeBecause === undefined ? { ...status, lastWork } : status);
    if (key === this.#announced) return;
    this.#announced = key;
    this.#options.onChange();
  }

  #bounded(lease: Evidence): Evidence {
    const { atMs, askedUntilMs = lease.holdsUntilMs } = lease;
    return { ...lease, holdsUntilMs: Math.min(askedUntilMs, atMs + this.#leaseMaxMs) };
  }

  #shown(one: Evidence): AwakeReason {
    if (!one.isLease) return reasonOf(one);
    const { holdsUntilMs, askedUntilMs = holdsUntilMs } = one;
    return {
      ...reasonOf(one),
      untilMs: this.#wall(holdsUntilMs),
      ...(askedUntilMs > holdsUntilMs + CUT_TOLERANCE_MS ? { askedUntilMs: this.#wall(askedUntilMs) } : {}),
    };
  }

  #now(): number {
    return this.#options.clock.monotonic();
  }

  #wall(monotonicMs: number): number {
    const offsetMs = this.#options.clock.now() - this.#options.clock.monotonic();
    if (Math.abs(offsetMs - this.#wallOffsetMs) > WALL_TOLERANCE_MS) this.#wallOffsetMs = offsetMs;
    return Math.round(monotonicMs + this.#wallOffsetMs);
  }
}

function reasonOf({ kind, detail }: Evidence): AwakeReason {
  return { kind, detail: detail.slice(0, DETAIL_MAX) };
}

function isDue(verdict: IdleVerdict | undefined, nowMs: number): boolean {
  return verdict?.pausesAtMs !== undefined && verdict.pausesAtMs <= nowMs;
}
