import { AtollError } from "@atoll/protocol/atoll-error";
import { describe, expect, it } from "vitest";
import { FakeHost } from "../testing/fake-host.ts";

const GRACE_MS = 60_000;
const inGrace = () => FakeHost.start({ pauseGraceMs: GRACE_MS });

/** Paused in memory, with something in the guest's RAM and on its disk. */
async function paused() {
  const host = await inGrace();
  const workspace = await host.create();
  const { machine } = host.source;
  machine.guest.counter = 7;
  machine.save("work", "v1");
  await workspace.pause("requested");
  return { host, workspace, machine };
}

describe("paused in memory", () => {
  it("keeps the process, standing still, and says so", async () => {
    const { host, workspace, machine } = await paused();
    await using _host = host;
    expect(workspace.status).toMatchObject({ state: "paused", pausedIn: "memory", reason: "requested" });
    expect(machine.isGone).toBe(false);
    expect(machine.isRunning).toBe(false);
    expect(workspace.guest).toBeUndefined();
    expect(host.source.calls).not.toContain("seal");
  });

  it("comes back at once: the same process, nothing read from the disk", async () => {
    const { host, workspace, machine } = await paused();
    await using _host = host;
    const calls = host.source.calls.length;
    await workspace.start("session_opened");
    expect(workspace.status).toMatchObject({ state: "running", startedBy: "resume" });
    expect(host.source.machine).toBe(machine);
    expect(host.source.calls.slice(calls)).toEqual([]);
    expect(machine.guest.hellos.at(-1)?.reason).toBe("resume");
    expect(machine.guest.isFrozen).toBe(false);
    expect(host.source.reservations.size).toBe(0);
    machine.save("work", "v2");
  });

  it("is sealed when the grace time is over, and its process gone", async () => {
    const { host, workspace, machine } = await paused();
    await using _host = host;
    const { sinceMs } = workspace.status;
    host.clock.advance(GRACE_MS);
    await expect.poll(() => workspace.status.pausedIn).toBe("disk");
    expect(workspace.status).toMatchObject({ state: "paused", reason: "requested", sinceMs });
    expect(machine.isGone).toBe(true);
    expect(host.source.reservations.size).toBe(0);
    await workspace.start("requested");
    expect(host.source.machine.guest.counter).toBe(7);
    expect(host.source.machine.read("work")).toBe("v1");
    expect(host.source.violations).toEqual([]);
  });

  it("still counts as memory in use until it is sealed", async () => {
    await using host = await FakeHost.start({ pauseGraceMs: GRACE_MS, memoryMb: 600 });
    const first = await host.create();
    await first.pause("requested");
    await expect(host.create()).rejects.toMatchObject({ code: "host.full" });
    host.clock.advance(GRACE_MS);
    await expect.poll(() => first.status.pausedIn).toBe("disk");
    await host.create();
  });

  it("stays in memory when it cannot be sealed, says why, and is tried again", async () => {
    const { host, workspace, machine } = await paused();
    await using _host = host;
    host.source.before = (operation) => {
      if (operation === "seal") throw new AtollError("host.disk_full");
    };
    host.clock.advance(GRACE_MS);
    await expect.poll(() => workspace.status.errorCode).toBe("host.disk_full");
    expect(workspace.status).toMatchObject({ state: "paused", pausedIn: "memory" });
    expect(machine.isGone).toBe(false);
    host.source.before = () => {};
    host.clock.advance(30_000);
    await expect.poll(() => workspace.status.pausedIn).toBe("disk");
    expect(workspace.status.errorCode).toBeUndefined();
  });

  it("goes on running after a sealing that failed", async () => {
    const { host, workspace, machine } = await paused();
    await using _host = host;
    host.source.before = (operation) => {
      if (operation === "seal") throw new AtollError("key.unavailable");
    };
    host.clock.advance(GRACE_MS);
    await expect.poll(() => workspace.status.errorCode).toBe("key.unavailable");
    await workspace.start("requested");
    expect(host.source.machine).toBe(machine);
    expect(machine.guest.counter).toBe(7);
  });

  it("does not use a machine whose sealing was committed although it seemed to fail", async () => {
    const { host, workspace, machine } = await paused();
    await using _host = host;
    const seal = host.source.seal.bind(host.source);
    host.source.seal = async (...parameters) => {
      await seal(...parameters);
      throw new AtollError("request.timeout");
    };
    host.clock.advance(GRACE_MS);
    await expect.poll(() => workspace.status.pausedIn).toBe("disk");
    await workspace.start("requested");
    expect(host.source.machine).not.toBe(machine);
    expect(host.source.machine.guest.counter).toBe(7);
    expect(host.source.violations).toEqual([]);
  });

  it("gives a user who comes back while it is being sealed the machine it was", async () => {
    const { host, workspace, machine } = await paused();
    await using _host = host;
    const begun = Promise.withResolvers<void>();
    const seal = host.source.seal.bind(host.source);
    host.source.seal = async (request, disk, one) => {
      begun.resolve();
      await new Promise((resolve) => request.signal?.addEventListener("abort", resolve));
      return seal(request, disk, one);
    };
    host.clock.advance(GRACE_MS);
    await begun.promise;
    await workspace.start("session_opened");
    expect(workspace.status).toMatchObject({ state: "running", startedBy: "resume" });
    expect(host.source.machine).toBe(machine);
    expect(workspace.status.errorCode).toBeUndefined();
  });

  it("is adopted by the next hostd, still standing, and its time goes on", async () => {
    const { host, workspace, machine } = await paused();
    await using _host = host;
    host.clock.advance(GRACE_MS - 1000);
    const next = await FakeHost.start({ previous: host, pauseGraceMs: GRACE_MS });
    const again = next.registry.get(workspace.id);
    expect(again.status).toMatchObject({ state: "paused", pausedIn: "memory" });
    expect(next.source.machine.isRunning).toBe(false);
    expect(next.source.machine.guest).toBe(machine.guest);
    host.clock.advance(1000);
    await expect.poll(() => again.status.pausedIn).toBe("disk");
    await again.start("requested");
    expect(next.source.machine.guest.counter).toBe(7);
    expect(next.source.violations).toEqual([]);
  });

  it("is sealed at once by a drain, like what still runs", async () => {
    const { host, workspace } = await paused();
    await using _host = host;
    const other = await host.create({ slug: "other" });
    expect(await host.registry.drain()).toEqual({ pausedCount: 2, leftCount: 0 });
    expect(workspace.status).toMatchObject({ pausedIn: "disk", reason: "requested" });
    expect(other.status).toMatchObject({ state: "paused", pausedIn: "disk", reason: "host_shutdown" });
    expect(host.source.liveMachines).toEqual([]);
  });

  it("is left to the next start by a drain that cannot seal", async () => {
    const { host, workspace, machine } = await paused();
    await using _host = host;
    host.source.before = (operation) => {
      if (operation === "seal") throw new AtollError("host.disk_full");
    };
    expect(await host.registry.drain()).toEqual({ pausedCount: 0, leftCount: 1 });
    expect(workspace.status.pausedIn).toBe("memory");
    expect(machine.isGone).toBe(false);
  });

  it("is stopped when its process dies, and says that memory was lost", async () => {
    const { host, workspace, machine } = await paused();
    await using _host = host;
    machine.exit({ reason: "crashed", detail: "signal 9" });
    await host.reached(workspace, "stopped");
    expect(workspace.status).toMatchObject({ reason: "vm_exited", lostMemory: { code: "vm.gone" } });
    await workspace.start("requested");
    expect(workspace.status).toMatchObject({ startedBy: "boot", lostMemory: { code: "vm.gone" } });
    expect(host.notices).toContain("workspace.memory_lost");
    expect(host.source.machine.read("work")).toBe("v1");
    await workspace.pause("requested");
    expect(workspace.status.lostMemory).toBeUndefined();
  });

  it("drops its memory at once when it is stopped", async () => {
    const { host, workspace, machine } = await paused();
    await using _host = host;
    await workspace.stop("requested");
    expect(machine.isGone).toBe(true);
    expect(workspace.status).toMatchObject({ state: "stopped" });
    expect(workspace.status.lostMemory).toBeUndefined();
  });
});

describe("room on the disk", () => {
  it("is asked for before the guest notices anything; without it, it runs on and says so", async () => {
    await using host = await inGrace();
    const workspace = await host.create();
    const { generation } = workspace.status;
    host.source.before = (operation) => {
      if (operation === "reserve") throw new AtollError("host.disk_full");
    };
    await expect(workspace.pause("idle")).rejects.toMatchObject({ code: "host.disk_full" });
    expect(workspace.status).toMatchObject({
      state: "running",
      reason: "disk_full",
      errorCode: "host.disk_full",
      generation,
    });
    expect(host.source.machine.isRunning).toBe(true);
    expect(host.source.machine.guest.isFrozen).toBe(false);
    expect(host.statuses.some(({ state }) => state === "pausing")).toBe(false);
  });

  it("is given back when the pause fails", async () => {
    await using host = await inGrace();
    const workspace = await host.create();
    host.source.machine.guest.quiesce = () => ({ frozen: false });
    await expect(workspace.pause("requested")).rejects.toBeInstanceOf(AtollError);
    expect(host.source.reservations.size).toBe(0);
  });

  it("is tried for again by an idle workspace", async () => {
    await using host = await inGrace();
    const workspace = await host.create({ idlePauseSeconds: 6 });
    host.source.before = (operation) => {
      if (operation === "reserve") throw new AtollError("host.disk_full");
    };
    host.clock.advance(6000);
    await expect.poll(() => workspace.status.errorCode).toBe("host.disk_full");
    host.source.before = () => {};
    host.clock.advance(60_000);
    await host.drive(host.reached(workspace, "paused"));
    expect(workspace.status).toMatchObject({ reason: "idle", pausedIn: "memory" });
  });
});

describe("a machine that obeys nothing", () => {
  it("does not hold a pause up for ever", async () => {
    await using host = await inGrace();
    const workspace = await host.create();
    host.source.machine.stop = () => new Promise(() => {});
    await expect(host.drive(workspace.pause("requested"))).rejects.toMatchObject({ code: "request.timeout" });
    expect(workspace.status.state).toBe("running");
  });

  it("is ended by the watchdog, also while it is paused", async () => {
    await using host = await inGrace();
    const running = await host.create({ slug: "one" });
    const stuck = host.source.machine;
    await running.keepAwake(3600);
    stuck.isStuck = true;
    await host.drive(host.reached(running, "failed"));
    expect(running.status).toMatchObject({
      reason: "vm_exited",
      errorCode: "vm.monitor_failed",
      lostMemory: { code: "vm.monitor_failed" },
    });
    expect(stuck.isGone).toBe(true);
    await running.start("requested");
    expect(running.status).toMatchObject({ state: "running", startedBy: "boot" });
    await running.pause("requested");
    host.source.machine.isStuck = true;
    host.source.before = (operation) => {
      if (operation === "seal") return new Promise(() => {});
    };
    await host.drive(host.reached(running, "stopped"));
    expect(running.status).toMatchObject({ reason: "vm_exited", lostMemory: { code: "vm.monitor_failed" } });
  });

  it.each(["stuck", "abandoned"])(
    "is lost, and that is said, although its process does not go: %s",
    async (how) => {
      await using host = await inGrace();
      const workspace = await host.create();
      await workspace.keepAwake(86_400);
      const { machine } = host.source;
      machine.kill = () => Promise.reject(new AtollError("vm.monitor_failed"));
      if (how === "stuck") machine.isStuck = true;
      else {
        machine.openLink = () => Promise.reject(new AtollError("link.lost"));
        machine.link?.destroy();
      }
      await host.drive(host.reached(workspace, "failed"));
      expect(workspace.status.lostMemory).toBeDefined();
      expect(workspace.record.machine).toBeNull();
      await workspace.start("requested");
      expect(workspace.status).toMatchObject({ state: "running", startedBy: "boot" });
    },
  );

  it("ends a pause in memory, although its process does not go", async () => {
    const { host, workspace, machine } = await paused();
    await using _host = host;
    machine.kill = () => Promise.reject(new AtollError("vm.monitor_failed"));
    machine.isStuck = true;
    await host.drive(host.reached(workspace, "stopped"));
    expect(workspace.status).toMatchObject({
      reason: "vm_exited",
      lostMemory: { code: "vm.monitor_failed" },
    });
  });

  it("leaves a stop that cannot end it, in a state that can be started", async () => {
    await using host = await inGrace();
    const workspace = await host.create();
    const { machine } = host.source;
    machine.guest.onShutdown = () => {};
    machine.kill = () => Promise.reject(new AtollError("vm.monitor_failed"));
    await expect(host.drive(workspace.stop("requested"))).rejects.toMatchObject({
      code: "vm.monitor_failed",
    });
    expect(workspace.status).toMatchObject({ state: "failed", errorCode: "vm.monitor_failed" });
    await workspace.start("requested");
    expect(workspace.status).toMatchObject({ state: "running", startedBy: "boot" });
  });

  it("is given up by a restarted hostd that cannot take it over, which says that its memory is lost", async () => {
    const { host, workspace } = await paused();
    await using _host = host;
    host.source.adopt = () => Promise.reject(new AtollError("vm.monitor_failed"));
    const next = await FakeHost.start({ previous: host, pauseGraceMs: GRACE_MS });
    const again = next.registry.get(workspace.id);
    expect(again.status).toMatchObject({ state: "stopped", lostMemory: { code: "vm.gone" } });
    await again.start("requested");
    expect(again.status).toMatchObject({ startedBy: "boot", lostMemory: { code: "vm.gone" } });
  });

  it("does not keep a restarted hostd from starting the workspace again", async () => {
    await using host = await inGrace();
    const workspace = await host.create();
    host.source.machine.isStuck = true;
    const next = await FakeHost.start({ previous: host });
    const again = next.registry.get(workspace.id);
    await next.drive(next.reached(again, "failed"));
    await next.drive(again.start("requested"));
    expect(again.status).toMatchObject({ state: "running", startedBy: "boot" });
  });
});
