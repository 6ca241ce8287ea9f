import { randomUUID } from "node:crypto";
import { AtollError } from "@atoll/protocol/atoll-error";
import { call, openChannel } from "@atoll/protocol/call";
import { FIRST_LINK_TOKEN } from "@atoll/protocol/link-handshake";
import { corePing } from "@atoll/protocol/messages/core";
import { processRun } from "@atoll/protocol/messages/process";
import type { Mux } from "@atoll/protocol/mux";
import { describe, expect, it } from "vitest";
import { createBody, FakeHost } from "../testing/fake-host.ts";
import type { Workspace } from "./workspace.ts";

function guestMux(workspace: Workspace): Mux {
  const mux = workspace.guest?.mux;
  if (mux === undefined) throw new Error("no agent is connected");
  return mux;
}

describe("create", () => {
  it("restores, gives the clone its own identity and token, and says how it started", async () => {
    await using host = await FakeHost.start();
    const workspace = await host.create();
    expect(workspace.status).toMatchObject({ state: "running", reason: "requested", startedBy: "create" });
    const [hello] = host.source.machine.guest.hellos;
    expect(hello).toMatchObject({
      reason: "create",
      linkToken: workspace.record.linkToken,
      identity: { workspaceId: workspace.id, hostname: "blue-reef" },
    });
    expect(await call(guestMux(workspace), corePing, {})).toEqual({ uptimeMs: 1 });
  });

  it("reports its steps forward only, and what they usually take once it knows", async () => {
    await using host = await FakeHost.start();
    await host.create();
    const stages = host.statuses.flatMap(({ stage }) => (stage ? [stage] : []));
    const indexes = stages.map(({ index }) => index);
    expect(indexes).toEqual(indexes.toSorted((a, b) => a - b));
    expect([...new Set(stages.map(({ name }) => name))]).toEqual(["reserve", "restore", "identity", "ready"]);
    expect(stages.every(({ typicalMs }) => typicalMs === undefined)).toBe(true);
    host.statuses.length = 0;
    await host.create();
    expect(host.statuses.some(({ stage }) => stage?.typicalMs !== undefined)).toBe(true);
  });

  it("answers the same workspace to a repeated create and refuses the id to another", async () => {
    await using host = await FakeHost.start();
    const id = randomUUID();
    const [first, second] = await Promise.all([host.create({}, id), host.create({}, id)]);
    expect(second).toBe(first);
    expect(host.source.calls).toEqual(["create"]);
    await expect(host.create({ slug: "other" }, id)).rejects.toMatchObject({ code: "request.invalid" });
  });

  it.each([
    ["took no entropy", { isReseeded: false }],
    ["has a clock that is off", { clockOffsetMs: -1001 }],
    ["took no name", { isNamed: false }],
    ["does not go on", { isThawed: false }],
    ["speaks an unknown generation", { generation: 99 }],
  ])("does not use a machine whose guest %s", async (_name, answer) => {
    await using host = await FakeHost.start();
    host.source.onMachine = (machine) => {
      machine.guest.answer = answer;
    };
    const id = randomUUID();
    await expect(host.create({}, id)).rejects.toBeInstanceOf(AtollError);
    expect(host.registry.get(id).status).toMatchObject({ state: "failed", reason: "start_failed" });
    expect(host.source.machine.isGone).toBe(true);
  });

  it("fails at once when the machine dies during its start", async () => {
    await using host = await FakeHost.start();
    const id = randomUUID();
    host.source.onMachine = (machine) => {
      machine.guest.answer = undefined;
      machine.start = async () => machine.exit({ reason: "crashed", detail: "signal 11" });
    };
    await expect(host.create({}, id)).rejects.toMatchObject({
      code: expect.stringMatching(/^(vm.gone|link.lost)$/),
    });
    expect(host.registry.get(id).status.state).toBe("failed");
  });

  it("is refused when memory or disk is short, and not counted", async () => {
    await using host = await FakeHost.start({ memoryMb: 1000 });
    await host.create();
    await expect(host.create()).rejects.toMatchObject({
      code: "host.full",
      details: { resource: "memory", used: 512 },
    });
    await using tight = await FakeHost.start({ freeDiskBytes: async () => 10 });
    await expect(tight.create()).rejects.toMatchObject({ code: "host.full", details: { resource: "disk" } });
  });

  it("is stopped as before when neither its start nor that could be noted, and starts when there is room", async () => {
    await using host = await FakeHost.start();
    const workspace = await host.create();
    await workspace.stop("requested");
    const full = new AtollError("host.disk_full");
    const { boot } = host.source;
    host.source.boot = async () => {
      host.beforeWrite = () => {
        throw full;
      };
      throw full;
    };
    await expect(workspace.start("requested")).rejects.toMatchObject({ code: "host.disk_full" });
    expect(workspace.status).toMatchObject({ state: "stopped", errorCode: "host.disk_full" });
    host.source.boot = boot;
    host.beforeWrite = () => {};
    await workspace.start("requested");
    expect(workspace.status.state).toBe("running");
  });

  it("leaves no machine and no disk when the journal cannot note them, and its key is attested to be destroyed", async () => {
    await using host = await FakeHost.start();
    const id = randomUUID();
    host.beforeWrite = (record) => {
      if (record.disk !== null) throw Object.assign(new Error("full"), { code: "ENOSPC" });
    };
    await expect(host.create({}, id)).rejects.toMatchObject({ code: "host.disk_full" });
    expect(host.source.disks.size).toBe(0);
    expect(host.source.liveMachines).toEqual([]);
    host.beforeWrite = () => {};
    expect(await host.registry.erase(id)).toMatchObject([{ workspaceId: id, keyDestroyedAtMs: 1 }]);
  });

  it("leaves nothing of one that came too late", async () => {
    await using host = await FakeHost.start();
    const id = randomUUID();
    const held = Promise.withResolvers<void>();
    const create = host.source.create.bind(host.source);
    host.source.create = async ({ signal: _signal, ...request }) => {
      await held.promise;
      return create(request);
    };
    const first = host.create({}, id);
    first.catch(() => {});
    await expect.poll(() => host.registry.find(id)?.status.stage?.name).toBe("restore");
    host.clock.advance(900_000);
    await expect(host.drive(first)).rejects.toMatchObject({ code: "request.timeout" });
    held.resolve();
    await expect.poll(() => host.source.calls).toEqual(["create"]);
    await expect.poll(() => host.source.disks.size).toBe(0);
    expect(host.source.liveMachines).toEqual([]);
    expect((await host.create({}, id)).status.state).toBe("running");
    expect(host.source.disks.size).toBe(1);
  });

  it("can be repeated after it failed", async () => {
    await using host = await FakeHost.start();
    const id = randomUUID();
    host.source.before = () => {
      throw new AtollError("template.unavailable");
    };
    await expect(host.create({}, id)).rejects.toMatchObject({ code: "template.unavailable" });
    expect(host.registry.get(id).status.errorCode).toBe("template.unavailable");
    host.source.before = () => {};
    expect((await host.create({}, id)).status.state).toBe("running");
  });
});

describe("pause and resume", () => {
  it("ends the process, frees its memory, and resumes the same guest", async () => {
    await using host = await FakeHost.start({ memoryMb: 600 });
    const workspace = await host.create();
    const before = host.source.machine;
    before.guest.counter = 7;
    await workspace.pause("requested");
    expect(workspace.status).toMatchObject({ state: "paused", reason: "requested" });
    expect(before.isGone).toBe(true);
    const other = await host.create();
    await other.stop("requested");
    await workspace.start("session_opened");
    expect(workspace.status).toMatchObject({
      state: "running",
      startedBy: "resume",
      reason: "session_opened",
    });
    expect(host.source.machine.guest.counter).toBe(7);
    expect(host.source.machine.guest.hellos.at(-1)?.reason).toBe("resume");
  });

  it("is idempotent and serialised: two resumes start one machine", async () => {
    await using host = await FakeHost.start();
    const workspace = await host.create();
    await Promise.all([workspace.pause("requested"), workspace.pause("requested")]);
    await Promise.all([workspace.start("requested"), workspace.start("session_opened")]);
    expect(host.source.calls).toEqual(["create", "reserve", "seal", "resume"]);
  });

  it("keeps streams until the pause succeeded and resets them then", async () => {
    await using host = await FakeHost.start();
    const workspace = await host.create();
    const channel = await openChannel(guestMux(workspace), processRun, { argv: ["cat"], timeoutMs: 1000 });
    await workspace.pause("requested");
    await expect(channel.stream.closed).resolves.toMatchObject({ code: "workspace.not_running" });
    expect(workspace.guest).toBeUndefined();
  });

  it.each(["source", "quiesce", "refused"])("goes on running when the pause fails (%s)", async (where) => {
    await using host = await FakeHost.start();
    const workspace = await host.create();
    const { machine } = host.source;
    const channel = await openChannel(guestMux(workspace), processRun, { argv: ["cat"], timeoutMs: 1000 });
    if (where === "source") {
      host.source.before = () => {
        throw new AtollError("host.disk_full");
      };
    } else if (where === "quiesce") {
      machine.guest.quiesce = () => Promise.reject(new AtollError("file.no_space"));
    } else {
      machine.guest.quiesce = () => ({ frozen: false });
    }
    await expect(workspace.pause("idle")).rejects.toBeInstanceOf(AtollError);
    expect(workspace.status).toMatchObject({ state: "running", startedBy: "create" });
    if (where === "source")
      expect(workspace.status).toMatchObject({ reason: "disk_full", errorCode: "host.disk_full" });
    expect(machine.isRunning).toBe(true);
    expect(machine.guest.isFrozen).toBe(false);
    await channel.stream.write(Buffer.from("still there"));
    const { value } = await channel.items().next();
    expect(value).toMatchObject({ kind: "data" });
  });

  it("boots from the disk when the snapshot cannot be used, and says so", async () => {
    await using host = await FakeHost.start();
    const workspace = await host.create();
    await workspace.pause("requested");
    host.source.damageSnapshots();
    host.statuses.length = 0;
    await workspace.start("session_opened");
    expect(workspace.status).toMatchObject({
      state: "running",
      startedBy: "boot",
      reason: "snapshot_unusable",
    });
    expect(workspace.record.snapshot).toBeNull();
    const indexes = host.statuses.flatMap(({ stage }) => (stage ? [stage.index] : []));
    expect(indexes).toEqual(indexes.toSorted((a, b) => a - b));
  });

  it("boots from the disk when the resumed guest cannot be reseeded", async () => {
    await using host = await FakeHost.start();
    const workspace = await host.create();
    host.source.machine.guest.answer = { isReseeded: false };
    await workspace.pause("requested");
    await workspace.start("requested");
    expect(workspace.status.startedBy).toBe("boot");
    expect(host.source.machines.filter(({ isGone }) => !isGone).length).toBe(1);
  });

  it("keeps the snapshot when it is the host that has no room or no key", async () => {
    await using host = await FakeHost.start();
    const workspace = await host.create();
    await workspace.pause("requested");
    host.source.before = () => {
      throw new AtollError("key.unavailable");
    };
    await expect(workspace.start("requested")).rejects.toMatchObject({ code: "key.unavailable" });
    expect(workspace.status).toMatchObject({ state: "paused", errorCode: "key.unavailable" });
    host.source.before = () => {};
    await workspace.start("requested");
    expect(workspace.status.startedBy).toBe("resume");
  });

  it("refuses a stale generation and grows with each operation", async () => {
    await using host = await FakeHost.start();
    const workspace = await host.create();
    const { generation } = workspace.status;
    await workspace.pause("requested", generation);
    expect(workspace.status.generation).toBeGreaterThan(generation);
    await expect(workspace.start("requested", generation)).rejects.toMatchObject({
      code: "workspace.stale_generation",
    });
  });

  it("refuses to pause what does not run", async () => {
    await using host = await FakeHost.start();
    const workspace = await host.create();
    await workspace.stop("requested");
    await expect(workspace.pause("requested")).rejects.toMatchObject({ code: "workspace.not_running" });
  });
});

describe("idle", () => {
  it("counts down when nothing holds it, pauses, and says when and why", async () => {
    await using host = await FakeHost.start();
    const workspace = await host.create({ idlePauseSeconds: 6 });
    expect(workspace.status.pausesAtMs).toBe(host.clock.now() + 6000);
    await workspace.keepAwake(10);
    expect(workspace.status.pausesAtMs).toBeUndefined();
    expect(workspace.status.awakeBecause).toMatchObject([{ kind: "lease" }]);
    host.clock.advance(10_000);
    expect(workspace.status.state).toBe("running");
    expect(workspace.status.pausesAtMs).toBe(host.clock.now() + 6000);
    host.clock.advance(6000);
    await host.reached(workspace, "paused");
    expect(workspace.status).toMatchObject({ reason: "idle", lastWork: { reason: { kind: "lease" } } });
    expect(workspace.status.pausesAtMs).toBeUndefined();
  });

  it("stays running when the user returns as the timer fires", async () => {
    await using host = await FakeHost.start();
    const workspace = await host.create();
    host.clock.advance(60_000);
    workspace.meter.markInput("terminal");
    await workspace.start("session_opened");
    expect(workspace.status.state).toBe("running");
    expect(host.source.calls).toEqual(["create"]);
  });

  it("takes a new idle time at once", async () => {
    await using host = await FakeHost.start();
    const workspace = await host.create();
    await workspace.update({ idlePauseSeconds: 5 });
    host.clock.advance(5000);
    await host.reached(workspace, "paused");
  });
});

it("lets nothing in a guest go on that was told the time late, before it is told it again", async () => {
  await using host = await FakeHost.start({ pauseGraceMs: 60_000 });
  const workspace = await host.create();
  await workspace.pause("requested");
  const { guest } = host.source.machine;
  expect(guest.isFrozen).toBe(true);
  guest.isLate = true;
  const frozen: boolean[] = [];
  guest.onHello = () => {
    // What it was told is long past when it answers.
    if (frozen.push(guest.isFrozen) === 1) host.clock.advance(1500);
  };
  const before = guest.hellos.length;
  await workspace.start("requested");
  expect(guest.hellos.slice(before).map(({ reason }) => reason)).toEqual(["resume", "reconnect"]);
  expect(frozen).toEqual([true, true]);
  expect(guest.isFrozen).toBe(false);
});

describe("stop and exits", () => {
  it("shuts the guest down and starts again from the disk", async () => {
    await using host = await FakeHost.start();
    const workspace = await host.create();
    await workspace.stop("requested");
    expect(workspace.status).toMatchObject({ state: "stopped", reason: "requested" });
    await workspace.start("requested");
    expect(workspace.status.startedBy).toBe("boot");
    expect(host.source.machine.guest.hellos[0]?.reason).toBe("boot");
  });

  it("drops the memory of a paused workspace", async () => {
    await using host = await FakeHost.start();
    const workspace = await host.create();
    await workspace.pause("requested");
    await workspace.stop("requested");
    expect(workspace.record).toMatchObject({ state: "stopped", snapshot: null });
  });

  it.each([
    [
      { reason: "guest_halted", detail: "" },
      { state: "stopped", reason: "guest_halted" },
    ],
    [
      { reason: "crashed", detail: "signal 9" },
      { state: "failed", reason: "vm_exited", errorCode: "vm.gone" },
    ],
    [
      { reason: "killed", detail: "by somebody" },
      { state: "failed", reason: "vm_exited", errorCode: "vm.gone" },
    ],
  ] as const)("reports %j", async (exit, status) => {
    await using host = await FakeHost.start();
    const workspace = await host.create();
    host.source.machine.exit(exit);
    await host.reached(workspace, status.state);
    expect(workspace.status).toMatchObject(status);
    await workspace.start("requested");
    expect(workspace.status).toMatchObject({ state: "running", startedBy: "boot" });
  });

  it("boots a guest that rebooted, but not for ever", async () => {
    await using host = await FakeHost.start();
    const workspace = await host.create();
    for (let boots = 1; boots <= 3; boots++) {
      host.source.machine.exit({ reason: "guest_reset", detail: "guest-reset" });
      await host.reached(workspace, "stopped");
      await host.reached(workspace, "running");
      expect(host.source.calls.filter((call) => call === "boot").length).toBe(boots);
    }
    host.source.machine.exit({ reason: "guest_reset", detail: "guest-reset" });
    await host.reached(workspace, "failed");
    expect(workspace.status).toMatchObject({ reason: "guest_halted", errorCode: "vm.reboot_loop" });
  });

  it("ends a machine whose agent stays away for a minute", async () => {
    await using host = await FakeHost.start();
    const workspace = await host.create();
    const { machine } = host.source;
    await workspace.keepAwake(3600);
    const reopened = new Promise<void>((resolve) => {
      const openLink = machine.openLink.bind(machine);
      machine.openLink = () => {
        resolve();
        return openLink();
      };
    });
    machine.guest.answer = undefined;
    machine.link?.destroy();
    await reopened;
    for (let second = 0; second < 90 && workspace.status.state === "running"; second++) {
      host.clock.advance(1000);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await host.reached(workspace, "failed");
    expect(workspace.status).toMatchObject({
      reason: "vm_exited",
      errorCode: "vm.agent_silent",
      lostMemory: { code: "vm.agent_silent" },
    });
    expect(machine.isGone).toBe(true);
  });

  it("notices at once that its agent ended, and greets the next one as soon as that is there", async () => {
    await using host = await FakeHost.start();
    const workspace = await host.create();
    const { machine } = host.source;
    const { guest } = machine;
    const greeted = guest.hellos.length;
    guest.restartAgent();
    machine.tell({ type: "port", isOpen: false });
    expect(workspace.guest?.mux).toBeUndefined();
    await host.pass(3);
    // Nothing is said to a port that nobody reads.
    expect(guest.hellos).toHaveLength(greeted);
    machine.tell({ type: "port", isOpen: true });
    await expect.poll(() => workspace.guest?.mux).toBeDefined();
    expect(guest.hellos.slice(greeted)).toMatchObject([{ reason: "boot" }]);
    expect(await call(guestMux(workspace), corePing, {})).toEqual({ uptimeMs: 1 });
  });

  it("waits longer for an agent that has to start, but not for ever", async () => {
    await using host = await FakeHost.start();
    const workspace = await host.create();
    await workspace.keepAwake(3600);
    const { machine } = host.source;
    machine.guest.answer = undefined;
    machine.tell({ type: "port", isOpen: false });
    await host.pass(90);
    expect([workspace.status.state, machine.isGone]).toEqual(["running", false]);
    await host.pass(60);
    await host.reached(workspace, "failed");
    expect(workspace.status).toMatchObject({ errorCode: "vm.agent_silent" });
  });

  it("reconnects to an agent that was restarted and waits for the first token again", async () => {
    await using host = await FakeHost.start();
    const workspace = await host.create();
    const { guest } = host.source.machine;
    guest.expectedToken = FIRST_LINK_TOKEN;
    host.source.machine.link?.destroy();
    for (let second = 0; second < 30 && guest.hellos.length < 2; second++) {
      await new Promise((resolve) => setImmediate(resolve));
      host.clock.advance(1000);
    }
    expect(guest.hellos.at(-1)).toMatchObject({ reason: "boot", linkToken: workspace.record.linkToken });
    await expect.poll(() => workspace.guest?.mux).toBeDefined();
    expect(await call(guestMux(workspace), corePing, {})).toEqual({ uptimeMs: 1 });
  });
});

describe("erase", () => {
  it("kills, destroys the key, keeps the evidence and answers the same again", async () => {
    await using host = await FakeHost.start();
    const workspace = await host.create();
    const { machine } = host.source;
    const [erasure] = await host.registry.erase(workspace.id);
    expect(erasure).toMatchObject({ workspaceId: workspace.id, keyDestroyedAtMs: 1, dataUnlinkedAtMs: 2 });
    expect(machine.isGone).toBe(true);
    expect(workspace.status.state).toBe("erased");
    expect(await host.registry.erase(workspace.id)).toEqual([erasure]);
    expect(host.source.calls.filter((call) => call === "destroy").length).toBe(1);
    await expect(workspace.start("requested")).rejects.toMatchObject({ code: "workspace.deleted" });
    await expect(host.create({}, workspace.id)).rejects.toMatchObject({ code: "workspace.deleted" });
  });

  it("waits for a pause under way, and the pause does not bring the record back", async () => {
    await using host = await FakeHost.start();
    const workspace = await host.create();
    const pausing = Promise.withResolvers<void>();
    const reached = Promise.withResolvers<void>();
    host.source.before = (operation) => {
      if (operation !== "seal") return;
      reached.resolve();
      return pausing.promise;
    };
    const pause = workspace.pause("requested");
    await reached.promise;
    const erase = host.registry.erase(workspace.id);
    pausing.resolve();
    await Promise.allSettled([pause]);
    expect(await erase).toHaveLength(1);
    expect(workspace.record).toMatchObject({ state: "erased", snapshot: null });
  });

  it("aborts a start under way", async () => {
    await using host = await FakeHost.start();
    const id = randomUUID();
    host.source.onMachine = (machine) => {
      machine.guest.answer = undefined;
    };
    const waiting = Promise.withResolvers<void>();
    host.source.before = () => waiting.resolve();
    const create = host.create({}, id);
    await waiting.promise;
    const erase = host.registry.erase(id);
    await expect(create).rejects.toMatchObject({ code: "workspace.deleted" });
    await erase;
    expect(host.registry.get(id).status.state).toBe("erased");
    expect(host.source.machines.every(({ isGone }) => isGone)).toBe(true);
  });

  it("leaves a tombstone for a workspace it never had", async () => {
    await using host = await FakeHost.start();
    const id = randomUUID();
    expect(await host.registry.erase(id)).toEqual([]);
    await expect(host.create({}, id)).rejects.toMatchObject({ code: "workspace.deleted" });
    const restarted = await FakeHost.start({ previous: host });
    await expect(restarted.create({}, id)).rejects.toMatchObject({ code: "workspace.deleted" });
  });

  it("erases an owner: every workspace, then the key, and nothing new after", async () => {
    await using host = await FakeHost.start();
    await Promise.all([host.create({ slug: "one" }), host.create({ slug: "two" })]);
    const { ownerId } = createBody();
    const answer = await host.registry.eraseOwner(ownerId);
    expect(answer).toMatchObject({ ownerKeyDestroyedAtMs: 3 });
    expect(answer.erasures).toHaveLength(2);
    expect(host.source.calls.slice(-1)).toEqual(["destroyOwnerKey"]);
    expect(await host.registry.eraseOwner(ownerId)).toEqual(answer);
    await expect(host.create()).rejects.toMatchObject({ code: "workspace.deleted" });
  });

  it("stays to be finished when the key store does not answer", async () => {
    await using host = await FakeHost.start();
    const workspace = await host.create();
    host.source.before = (operation) => {
      if (operation === "destroy") throw new AtollError("key.unavailable");
    };
    await expect(host.registry.erase(workspace.id)).rejects.toMatchObject({ code: "key.unavailable" });
    expect(workspace.status.state).toBe("deleting");
    host.source.before = () => {};
    expect(await host.registry.erase(workspace.id)).toHaveLength(1);
  });
});

describe("drain", () => {
  it("pauses what runs, refuses new starts, and leaves what cannot be paused", async () => {
    await using host = await FakeHost.start();
    const good = await host.create({ slug: "good" });
    const bad = await host.create({ slug: "bad" });
    host.source.machine.guest.quiesce = () => Promise.reject(new AtollError("file.no_space"));
    expect(await host.registry.drain()).toEqual({ pausedCount: 1, leftCount: 1 });
    expect(good.status).toMatchObject({ state: "paused", reason: "host_shutdown" });
    expect(bad.status.state).toBe("running");
    await expect(good.start("requested")).rejects.toMatchObject({ code: "host.draining" });
    await expect(host.create()).rejects.toMatchObject({ code: "host.draining" });
  });
});
