import { ManualClock } from "@atoll/base/manual-clock";
import { AtollError } from "@atoll/protocol/atoll-error";
import { describe, expect, it } from "vitest";
import type { ActivitySample } from "./activity-reader.ts";
import { WorkMeter } from "./work-meter.ts";

const MINUTE = 60_000;
const IDLE_SECONDS = 1800;
const IDLE_MS = IDLE_SECONDS * 1000;
const QUIET: ActivitySample = { foreground: [], cpuMs: 1000, leases: [] };

/** Wall time that can jump while time goes on. */
class JumpingClock extends ManualClock {
  jumpMs = 0;

  override now(): number {
    return super.now() + this.jumpMs;
  }
}

function start(
  options: {
    idlePauseSeconds?: number;
    leaseMaxSeconds?: number;
    sample?: () => ActivitySample | Promise<ActivitySample>;
  } = {},
) {
  const clock = new JumpingClock();
  const seen = { idle: 0, changes: 0, samples: 0, told: 0 };
  const guest = { answer: options.sample ?? (() => QUIET) };
  const meter = new WorkMeter({
    clock,
    idlePauseSeconds: options.idlePauseSeconds ?? IDLE_SECONDS,
    leaseMaxSeconds: options.leaseMaxSeconds ?? 24 * 3600,
    sample: async ({ keepAwakeMaxSeconds }) => {
      seen.samples += 1;
      seen.told = keepAwakeMaxSeconds ?? 0;
      return guest.answer();
    },
    onIdle: () => void seen.idle++,
    onChange: () => void seen.changes++,
  });
  const startMs = clock.now();
  /** In steps, so that answers arrive between timers. */
  const pass = async (spanMs: number, stepMs = 15_000) => {
    for (let leftMs = spanMs; leftMs > 0; leftMs -= stepMs) {
      clock.advance(Math.min(stepMs, leftMs));
      for (let turn = 0; turn < 5; turn++) await Promise.resolve();
    }
  };
  meter.arm();
  return { clock, meter, seen, guest, startMs, pass };
}

describe("an idle workspace", () => {
  it("is announced when, warned of ahead, and called idle once its time is over", async () => {
    const { meter, seen, startMs, pass } = start();
    expect(meter.status).toEqual({
      lastWork: { reason: { kind: "api", detail: "started" }, atMs: startMs },
      pausesAtMs: startMs + IDLE_MS,
      warnsAtMs: startMs + IDLE_MS - 5 * MINUTE,
    });
    await pass(IDLE_MS - 1);
    expect(seen).toMatchObject({ idle: 0, changes: 1 });
    expect(meter.isIdle).toBe(false);
    await pass(1);
    expect(seen.idle).toBe(1);
    expect(meter.isIdle).toBe(true);
  });

  it("is asked for again after a minute when it was not paused, and not after it was", async () => {
    const { meter, seen, startMs, pass } = start();
    await pass(IDLE_MS);
    expect(meter.status.pausesAtMs).toBe(startMs + IDLE_MS + MINUTE);
    await pass(MINUTE);
    expect(seen.idle).toBe(2);
    meter.disarm();
    await pass(10 * MINUTE);
    expect(seen.idle).toBe(2);
    expect(meter.status.pausesAtMs).toBeUndefined();
    expect(meter.status.lastWork?.reason.kind).toBe("api");
  });

  it("is not idle when its user came back before its turn to be paused", async () => {
    const { meter, seen, pass } = start();
    await pass(IDLE_MS);
    expect(seen.idle).toBe(1);
    meter.markInput("terminal");
    expect(meter.isIdle).toBe(false);
    expect(meter.status.awakeBecause).toEqual([{ kind: "input", detail: "terminal" }]);
  });

  it("is looked at once more before it is called idle", async () => {
    const { guest, seen, pass, meter } = start({ idlePauseSeconds: 100 });
    await pass(99_000, 1000);
    guest.answer = () => ({ ...QUIET, foreground: [{ terminalId: "a", command: "make" }] });
    await pass(1000);
    expect(seen.idle).toBe(0);
    expect(meter.status.awakeBecause).toEqual([{ kind: "foreground", detail: "make" }]);
  });

  it("starts anew when it is armed again, and forgets what was seen before", async () => {
    const { meter, guest, pass, clock } = start();
    guest.answer = () => ({ ...QUIET, foreground: [{ terminalId: "a", command: "make" }] });
    await pass(MINUTE);
    meter.disarm();
    guest.answer = () => QUIET;
    meter.arm();
    expect(meter.status).toMatchObject({ pausesAtMs: clock.now() + IDLE_MS });
  });

  it("follows a changed setting at once", async () => {
    const { meter, seen, startMs, pass } = start();
    meter.setIdleSeconds(60);
    expect(meter.status).toMatchObject({ pausesAtMs: startMs + MINUTE, warnsAtMs: startMs + 40_000 });
    await pass(MINUTE);
    expect(seen.idle).toBe(1);
  });

  it("counts a changed setting from the last act, however long that would have shown under the old one", async () => {
    const { meter, seen, pass } = start();
    meter.markInput("terminal");
    meter.setIdleSeconds(4);
    expect(meter.status.awakeBecause).toEqual([{ kind: "input", detail: "terminal" }]);
    await pass(3999);
    expect(seen.idle).toBe(0);
    await pass(1);
    expect(seen.idle).toBe(1);
  });
});

describe("input", () => {
  it("shows for a moment and moves the pause, announced twice however much is typed", async () => {
    const { meter, seen, pass, clock } = start();
    for (let stroke = 0; stroke < 100; stroke++) {
      meter.markInput("terminal");
      await pass(100, 100);
    }
    expect(seen.changes).toBe(2);
    await pass(MINUTE);
    expect(seen.changes).toBe(3);
    expect(meter.status.pausesAtMs).toBe(clock.now() - MINUTE - 100 + IDLE_MS);
    expect(meter.status.lastWork?.reason).toEqual({ kind: "input", detail: "terminal" });
  });

  it("is not needed by whoever looks: a tab that is merely open shows nothing here", async () => {
    const { seen, pass } = start();
    await pass(IDLE_MS);
    expect(seen.idle).toBe(1);
  });
});

describe("the guest's own work", () => {
  it.each<[string, (turn: number) => ActivitySample, string]>([
    [
      "a foreground job",
      () => ({ ...QUIET, foreground: [{ terminalId: "a", command: "make" }] }),
      "foreground",
    ],
    ["a busy processor", (turn) => ({ ...QUIET, cpuMs: turn * 15_000 }), "cpu"],
    [
      "a lease",
      () => ({ ...QUIET, leases: [{ detail: "tests", untilMs: Number.MAX_SAFE_INTEGER }] }),
      "lease",
    ],
  ])("%s keeps it awake past its idle time", async (_title, answer, kind) => {
    let turn = 0;
    const { meter, seen, pass } = start({ sample: () => answer(++turn) });
    await pass(3 * IDLE_MS);
    expect(seen.idle).toBe(0);
    expect(meter.status.awakeBecause?.map((reason) => reason.kind)).toEqual([kind]);
    expect(meter.status.pausesAtMs).toBeUndefined();
  });

  it("below the floor is none: timers of an idle system", async () => {
    let cpuMs = 0;
    const { seen, pass } = start({
      sample: () => {
        cpuMs += 1000;
        return { ...QUIET, cpuMs };
      },
    });
    await pass(IDLE_MS);
    expect(seen.idle).toBe(1);
  });

  it("counts from the beginning after a reset of the guest", async () => {
    let cpuMs = 1e9;
    const { meter, guest, pass } = start({ sample: () => ({ ...QUIET, cpuMs }) });
    await pass(MINUTE);
    cpuMs = 5;
    await pass(MINUTE);
    expect(meter.status.awakeBecause).toBeUndefined();
    guest.answer = () => {
      cpuMs += 20_000;
      return { ...QUIET, cpuMs };
    };
    await pass(MINUTE);
    expect(meter.status.awakeBecause).toEqual([{ kind: "cpu", detail: "about 70 % of a processor" }]);
  });

  it("ends at the end of its lease, from which the idle time runs", async () => {
    const { meter, guest, startMs, pass } = start();
    const untilMs = startMs + 60 * MINUTE;
    guest.answer = () => ({ ...QUIET, leases: [{ detail: "tests", untilMs }] });
    await pass(MINUTE);
    expect(meter.status.awakeBecause).toEqual([{ kind: "lease", detail: "tests", untilMs }]);
    await pass(60 * MINUTE);
    expect(meter.status.pausesAtMs).toBe(untilMs + IDLE_MS);
  });

  it("is not prolonged past a day, whatever the guest says", async () => {
    let turn = 0;
    const { seen, pass, clock } = start({
      sample: () => ({
        foreground: [{ terminalId: "a", command: "sh" }],
        cpuMs: turn++ * 30_000,
        leases: [{ detail: `no. ${turn}`, untilMs: clock.now() + 1e12 }],
      }),
    });
    await pass(24 * 60 * MINUTE);
    expect(seen.idle).toBe(0);
    await pass(IDLE_MS);
    expect(seen.idle).toBe(1);
  });

  it("counts by its last word while the guest is silent, and not for ever", async () => {
    const { meter, seen, guest, pass } = start({
      sample: () => ({ ...QUIET, foreground: [{ terminalId: "a", command: "make" }] }),
    });
    await pass(MINUTE);
    guest.answer = () => Promise.reject(new AtollError("link.lost"));
    await pass(MINUTE);
    expect(meter.status.awakeBecause).toHaveLength(1);
    await pass(MINUTE);
    expect(meter.status.awakeBecause).toBeUndefined();
    expect(meter.status.lastWork?.reason).toEqual({ kind: "foreground", detail: "make" });
    await pass(IDLE_MS - 2 * MINUTE);
    expect(seen.idle).toBe(1);
  });

  it("is not asked for again of an agent that does not know the question", async () => {
    const { seen, pass } = start({ sample: () => Promise.reject(new AtollError("link.too_old")) });
    await pass(IDLE_MS);
    expect(seen).toMatchObject({ idle: 1, samples: 1 });
  });

  it("holds a lease for as long as the plan allows one, and shows what was asked for", async () => {
    const { meter, guest, startMs, pass, seen } = start({ leaseMaxSeconds: 7200 });
    const askedUntilMs = startMs + 8 * 60 * MINUTE;
    guest.answer = () => ({ ...QUIET, leases: [{ detail: "tests", untilMs: askedUntilMs }] });
    await pass(30_000);
    expect(seen.told).toBe(7200);
    const lease = { kind: "lease", detail: "tests", askedUntilMs };
    expect(meter.status.awakeBecause).toEqual([{ ...lease, untilMs: startMs + 120 * MINUTE }]);
    // Whoever is there may hold it for longer, and not longer than the plan allows one lease.
    await pass(60 * MINUTE);
    meter.markInput("terminal");
    await pass(30_000);
    expect(meter.status.awakeBecause).toContainEqual({ ...lease, untilMs: startMs + 120 * MINUTE + 30_000 });
    await pass(60 * MINUTE);
    expect(meter.status.awakeBecause).toBeUndefined();
    expect(meter.status.pausesAtMs).toBe(startMs + 120 * MINUTE + 30_000 + IDLE_MS);
  });

  it("is not called cut short when it asked for just what the plan allows", async () => {
    const { meter, guest, startMs, pass } = start({ leaseMaxSeconds: 7200 });
    guest.answer = () => ({
      ...QUIET,
      leases: [{ detail: "tests", untilMs: startMs + 120 * MINUTE + 5000 }],
    });
    await pass(30_000);
    expect(meter.status.awakeBecause).toEqual([
      { kind: "lease", detail: "tests", untilMs: startMs + 120 * MINUTE },
    ]);
  });
});

describe("traffic", () => {
  it("of the network counts above its floor, averaged", async () => {
    const { meter, pass } = start();
    meter.addNetworkBytes(900 * 1024);
    await pass(30_000);
    expect(meter.status.awakeBecause).toBeUndefined();
    meter.addNetworkBytes(1024 * 1024);
    await pass(30_000);
    expect(meter.status.awakeBecause).toEqual([{ kind: "network", detail: "network traffic" }]);
    await pass(30_000);
    expect(meter.status.awakeBecause).toBeUndefined();
  });

  it("of a preview counts by request, and by bytes above a floor", async () => {
    const { meter, pass } = start();
    meter.markPreview(3000);
    expect(meter.status.awakeBecause).toEqual([{ kind: "preview", detail: "port 3000" }]);
    await pass(MINUTE);
    meter.markPreview(3000, 50_000);
    await pass(30_000);
    expect(meter.status.awakeBecause).toBeUndefined();
    meter.markPreview(3000, 500_000);
    await pass(30_000);
    expect(meter.status.awakeBecause).toEqual([{ kind: "preview", detail: "port 3000" }]);
  });
});

describe("the host's lease", () => {
  it("holds for its time, replaces the one before, and can be ended", async () => {
    const { meter, seen, startMs, pass, clock } = start();
    meter.keepAwake(7200, "kept running");
    expect(meter.status.awakeBecause).toEqual([
      { kind: "lease", detail: "kept running", untilMs: startMs + 120 * MINUTE },
    ]);
    expect(meter.leaseUntilMs).toBe(startMs + 120 * MINUTE);
    await pass(119 * MINUTE);
    expect(seen.idle).toBe(0);
    meter.keepAwake(0, "");
    expect(meter.leaseUntilMs).toBeUndefined();
    expect(meter.status.pausesAtMs).toBe(clock.now() + IDLE_MS);
  });

  it("is bounded, also when it comes from a record", () => {
    const { meter, startMs } = start();
    meter.restoreLease(startMs + 1e12, "kept running");
    expect(meter.leaseUntilMs).toBe(startMs + 24 * 60 * MINUTE);
    meter.restoreLease(startMs - 1, "kept running");
    expect(meter.leaseUntilMs).toBeUndefined();
  });

  it("is bounded by the plan, and by a smaller one from the change on", () => {
    const { meter, startMs } = start({ leaseMaxSeconds: 8 * 3600 });
    meter.keepAwake(24 * 3600, "kept running");
    const askedUntilMs = startMs + 24 * 60 * MINUTE;
    const lease = { kind: "lease", detail: "kept running", askedUntilMs };
    expect(meter.status.awakeBecause).toEqual([{ ...lease, untilMs: startMs + 480 * MINUTE }]);
    meter.setLeaseMaxSeconds(7200);
    expect(meter.status.awakeBecause).toEqual([{ ...lease, untilMs: startMs + 120 * MINUTE }]);
    expect(meter.leaseUntilMs).toBe(startMs + 120 * MINUTE);
  });

  it("is still there after a pause", async () => {
    const { meter } = start();
    meter.keepAwake(3600, "kept running");
    meter.disarm();
    expect(meter.status.awakeBecause).toBeUndefined();
    meter.arm();
    expect(meter.status.awakeBecause).toHaveLength(1);
  });
});

describe("a jump of the wall clock", () => {
  it.each([3_600_000, -3_600_000])(
    "by %d ms pauses nothing early and keeps nothing awake",
    async (jumpMs) => {
      const startedAtMs = new ManualClock().now();
      const { meter, seen, clock, pass } = start({
        sample: () => ({ ...QUIET, leases: [{ detail: "tests", untilMs: startedAtMs + 10 * MINUTE }] }),
      });
      await pass(5 * MINUTE);
      clock.jumpMs = jumpMs;
      await pass(5 * MINUTE - 1);
      expect(meter.status.awakeBecause).toMatchObject([{ kind: "lease" }]);
      await pass(1);
      expect(meter.status.pausesAtMs).toBe(clock.now() + IDLE_MS);
      await pass(IDLE_MS - 1);
      expect(seen.idle).toBe(0);
      await pass(1);
      expect(seen.idle).toBe(1);
    },
  );
});
