import { AtollError } from "@atoll/protocol/atoll-error";
import { PLAN_TIMES } from "@atoll/protocol/plans";
import { expect, it } from "vitest";
import { FakeHost } from "../testing/fake-host.ts";

const retention = { stopAfterPausedSeconds: 100, archiveAfterStoppedSeconds: 1000 };

it("goes from paused to stopped to archived, each with its date, and starts from there", async () => {
  await using host = await FakeHost.start();
  const workspace = await host.create({ retention });
  host.source.machine.save("work", "v1");
  await workspace.pause("requested");
  const pausedAtMs = workspace.status.sinceMs;
  expect(workspace.status.stopsAtMs).toBe(pausedAtMs + 100_000);
  host.clock.advance(100_000);
  await host.drive(host.reached(workspace, "stopped"));
  expect(workspace.status).toMatchObject({ reason: "retention", archivesAtMs: pausedAtMs + 1_100_000 });
  expect(workspace.status.stopsAtMs).toBeUndefined();
  // Its sealed memory is not only forgotten but gone.
  await expect.poll(() => [...host.source.disks.values()][0]?.snapshot).toBeUndefined();
  expect(workspace.status.lostMemory).toBeUndefined();
  host.clock.advance(1_000_000);
  await host.drive(host.reached(workspace, "archived"));
  expect(workspace.status).toMatchObject({ reason: "retention" });
  expect(host.endedViews).toContain(workspace.id);
  await workspace.start("requested");
  expect(workspace.status).toMatchObject({ state: "running", startedBy: "boot" });
  expect(host.source.machine.read("work")).toBe("v1");
  expect(host.source.calls).toContain("unarchive");
});

it("has the first plan's times when nobody gave any", async () => {
  await using host = await FakeHost.start();
  const workspace = await host.create();
  await workspace.pause("requested");
  const { stopsAtMs, sinceMs } = workspace.status;
  expect(stopsAtMs).toBe(sinceMs + PLAN_TIMES.free.stopAfterPausedSeconds * 1000);
});

it("is not changed by a restart of hostd, and what fell due meanwhile happens then", async () => {
  await using host = await FakeHost.start();
  const workspace = await host.create({ retention });
  await workspace.pause("requested");
  const { stopsAtMs } = workspace.status;
  const next = await FakeHost.start({ previous: host });
  expect(next.registry.get(workspace.id).status.stopsAtMs).toBe(stopsAtMs);
  next.life.kill();
  host.clock.advance(500_000);
  const third = await FakeHost.start({ previous: next });
  host.clock.advance(0);
  const again = third.registry.get(workspace.id);
  await third.reached(again, "stopped");
  expect(again.status.reason).toBe("retention");
});

it("takes new times at once", async () => {
  await using host = await FakeHost.start();
  const workspace = await host.create();
  await workspace.pause("requested");
  await workspace.update({ retention });
  host.clock.advance(100_000);
  await host.drive(host.reached(workspace, "stopped"));
});

it("does not touch a workspace that came back in time", async () => {
  await using host = await FakeHost.start();
  const workspace = await host.create({ retention });
  await workspace.keepAwake(86_400);
  await workspace.pause("requested");
  host.clock.advance(99_000);
  await workspace.start("requested");
  host.clock.advance(50_000);
  await workspace.update({});
  expect(workspace.status.state).toBe("running");
});

it("tries again when archiving fails, and starts from what is left of the try", async () => {
  await using host = await FakeHost.start();
  const workspace = await host.create({ retention });
  await workspace.stop("requested");
  host.source.before = (operation) => {
    if (operation === "archive") throw new AtollError("host.disk_full");
  };
  host.clock.advance(1_000_000);
  await expect.poll(() => host.source.calls.includes("archive")).toBe(true);
  await expect.poll(() => workspace.status.operation).toBeUndefined();
  expect(workspace.status.state).toBe("stopped");
  host.source.before = () => {};
  host.clock.advance(30_000);
  await host.drive(host.reached(workspace, "archived"));
});

it("gives way to a user who starts it while it is being archived", async () => {
  await using host = await FakeHost.start();
  const workspace = await host.create({ retention });
  await workspace.stop("requested");
  const begun = Promise.withResolvers<void>();
  host.source.archive = async (request) => {
    begun.resolve();
    return new Promise((_resolve, reject) => {
      request.signal?.addEventListener("abort", () => reject(request.signal?.reason));
    });
  };
  host.clock.advance(1_000_000);
  await begun.promise;
  expect(workspace.status.operation).toMatchObject({ kind: "archive" });
  await workspace.start("requested");
  expect(workspace.status).toMatchObject({ state: "running" });
  expect(host.source.calls).toContain("unarchive");
});

it.each(["running", "paused", "stopped"] as const)(
  "erases a disposable one at its deadline: %s",
  async (state) => {
    await using host = await FakeHost.start();
    const expiresAtMs = host.clock.now() + 50_000;
    const workspace = await host.create({ expiresAtMs });
    if (state === "paused") await workspace.pause("requested");
    if (state === "stopped") await workspace.stop("requested");
    expect(workspace.status.expiresAtMs).toBe(expiresAtMs);
    host.clock.advance(50_000);
    await host.drive(host.reached(workspace, "erased"));
    expect(workspace.status.reason).toBe("deadline");
    expect(host.source.disks.size).toBe(0);
  },
);

it("erases it also when hostd was down at the deadline", async () => {
  await using host = await FakeHost.start();
  const workspace = await host.create({ expiresAtMs: host.clock.now() + 50_000 });
  host.life.kill();
  host.clock.advance(500_000);
  const next = await FakeHost.start({ previous: host });
  host.clock.advance(0);
  await next.reached(next.registry.get(workspace.id), "erased");
  expect(next.source.liveMachines).toEqual([]);
});

it("erases it within a minute of its deadline, whatever is under way and obeys nothing", async () => {
  await using host = await FakeHost.start();
  const expiresAtMs = host.clock.now() + 1_030_000;
  const workspace = await host.create({ retention, expiresAtMs });
  await workspace.stop("requested");
  const begun = Promise.withResolvers<void>();
  host.source.archive = () => {
    begun.resolve();
    return new Promise(() => {});
  };
  host.clock.advance(1_000_000);
  await begun.promise;
  host.clock.advance(30_000);
  await host.drive(host.reached(workspace, "erased"));
  expect(host.clock.now() - expiresAtMs).toBeLessThan(60_000);
});

it("tries an erasure of its deadline every half minute", async () => {
  await using host = await FakeHost.start();
  const workspace = await host.create({ expiresAtMs: host.clock.now() + 50_000 });
  host.source.before = (operation) => {
    if (operation === "destroy") throw new AtollError("key.unavailable");
  };
  const tries = () => host.source.calls.filter((call) => call === "destroy").length;
  host.clock.advance(50_000);
  for (let count = 1; count < 6; count++) {
    await expect.poll(tries).toBe(count);
    await host.pass(31);
  }
  host.source.before = () => {};
  host.clock.advance(30_000);
  await host.drive(host.reached(workspace, "erased"));
});

it("finishes an erasure by itself that the key store held up", async () => {
  await using host = await FakeHost.start();
  const workspace = await host.create();
  host.source.before = (operation) => {
    if (operation === "destroy") throw new AtollError("key.unavailable");
  };
  await expect(host.registry.erase(workspace.id)).rejects.toMatchObject({ code: "key.unavailable" });
  host.source.before = () => {};
  host.clock.advance(30_000);
  await host.drive(host.reached(workspace, "erased"));
});

it("keeps a lease of the interface over a restart", async () => {
  await using host = await FakeHost.start();
  const workspace = await host.create({ idlePauseSeconds: 6 });
  await workspace.keepAwake(600);
  const untilMs = host.clock.now() + 600_000;
  const next = await FakeHost.start({ previous: host });
  const again = next.registry.get(workspace.id);
  await expect.poll(() => again.guest?.mux).toBeDefined();
  expect(again.status.awakeBecause).toMatchObject([{ kind: "lease", untilMs }]);
  host.clock.advance(60_000);
  expect(again.status.state).toBe("running");
  await again.keepAwake(0);
  expect(again.record.lease).toBeNull();
});
