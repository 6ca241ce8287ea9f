import { randomUUID } from "node:crypto";
import { AtollError } from "@atoll/protocol/atoll-error";
import type { CheckpointInfo } from "@atoll/protocol/hostd-api";
import { DISK_LAYERS_FLATTEN } from "@atoll/protocol/limits";
import { describe, expect, it } from "vitest";
import { FakeHost } from "../testing/fake-host.ts";
import { surplusCheckpoints } from "./surplus-checkpoints.ts";

async function running() {
  const host = await FakeHost.start({ pauseGraceMs: 60_000 });
  const workspace = await host.create({ idlePauseSeconds: 86_400 });
  const { machine } = host.source;
  machine.save("work", "v1");
  machine.guest.counter = 7;
  const [disk] = [...host.source.disks.values()];
  if (disk === undefined) throw new Error("no disk");
  return { host, workspace, machine, disk };
}

const named = (name: string, withMemory = true) => ({ name, withMemory });

describe("a checkpoint", () => {
  it("of a running workspace holds its files and memory, and the workspace goes on", async () => {
    const { host, workspace, machine, disk } = await running();
    await using _host = host;
    const id = randomUUID();
    const info = await workspace.checkpoint(id, named("first"));
    expect(info).toMatchObject({ checkpointId: id, kind: "named", hasMemory: true, parentId: null });
    expect(machine.isRunning).toBe(true);
    expect(machine.guest.isFrozen).toBe(false);
    machine.save("work", "v2");
    expect(disk.checkpoints.get(id)?.content.get("work")).toBe("v1");
    expect(host.statuses.some(({ operation }) => operation?.kind === "checkpoint")).toBe(true);
    expect(workspace.status.operation).toBeUndefined();
    expect(host.source.points.every(({ isDisposed }) => isDisposed)).toBe(true);
    expect(host.source.violations).toEqual([]);
  });

  it("is made once for one id", async () => {
    const { host, workspace } = await running();
    await using _host = host;
    const id = randomUUID();
    const both = await Promise.all([
      workspace.checkpoint(id, named("a")),
      workspace.checkpoint(id, named("b")),
    ]);
    expect(both[0]).toEqual(both[1]);
    expect(host.source.calls.filter((call) => call === "capture")).toHaveLength(1);
  });

  it("of one paused in memory leaves it paused, and of one on the disk its snapshot good", async () => {
    const { host, workspace, machine } = await running();
    await using _host = host;
    await workspace.pause("requested");
    expect(await workspace.checkpoint(randomUUID(), named("paused"))).toMatchObject({ hasMemory: true });
    expect(workspace.status).toMatchObject({ state: "paused", pausedIn: "memory" });
    expect(machine.isRunning).toBe(false);
    await workspace.pauseToDisk("requested");
    expect(await workspace.checkpoint(randomUUID(), named("sealed"))).toMatchObject({ hasMemory: true });
    await workspace.start("requested");
    expect(workspace.status.startedBy).toBe("resume");
    expect(host.source.machine.guest.counter).toBe(7);
    await workspace.stop("requested");
    expect(await workspace.checkpoint(randomUUID(), named("off"))).toMatchObject({ hasMemory: false });
  });

  it.each(["quiesce", "capture", "keep"])(
    "that fails at %s leaves the workspace running as it was",
    async (where) => {
      const { host, workspace, machine, disk } = await running();
      await using _host = host;
      if (where === "quiesce") machine.guest.quiesce = () => Promise.reject(new AtollError("file.no_space"));
      else {
        host.source.before = (operation) => {
          if (operation === where) throw new AtollError("host.disk_full");
        };
      }
      await expect(workspace.checkpoint(randomUUID(), named("x"))).rejects.toBeInstanceOf(AtollError);
      expect(workspace.status.state).toBe("running");
      expect(machine.guest.isFrozen).toBe(false);
      machine.save("work", "v2");
      expect(disk.checkpoints.size).toBe(0);
      expect(host.source.points.every(({ isDisposed }) => isDisposed)).toBe(true);
    },
  );

  it("is refused above the plan's number, and never for a restore's safety", async () => {
    const { host, workspace } = await running();
    await using _host = host;
    await workspace.update({ maxCheckpoints: 1 });
    const id = randomUUID();
    await workspace.checkpoint(id, named("one"));
    await expect(workspace.checkpoint(randomUUID(), named("two"))).rejects.toMatchObject({
      code: "checkpoint.limit_reached",
      details: { limit: 1 },
    });
    await workspace.restore({ checkpointId: id, safetyCheckpointId: randomUUID() });
    await workspace.deleteCheckpoint(id);
    await workspace.deleteCheckpoint(id);
    await workspace.checkpoint(randomUUID(), named("two"));
  });

  it("is refused for a workspace that never ran", async () => {
    await using host = await FakeHost.start();
    host.source.before = () => {
      throw new AtollError("template.unavailable");
    };
    const id = randomUUID();
    await expect(host.create({}, id)).rejects.toBeInstanceOf(AtollError);
    host.source.before = () => {};
    const workspace = host.registry.get(id);
    const codes = [
      workspace.checkpoint(randomUUID(), named("x")),
      workspace.deleteCheckpoint(randomUUID()),
      workspace.restore({ checkpointId: randomUUID(), safetyCheckpointId: randomUUID() }),
      workspace.whileOff(async () => {}, { signal: new AbortController().signal, onLate: () => {} }),
      workspace.listCheckpoints(),
      workspace.stop("requested"),
    ];
    for (const refused of codes)
      await expect(refused).rejects.toMatchObject({ code: "workspace.not_running" });
  });
});

describe("automatic checkpoints", () => {
  it("are taken while there is work, and only then", async () => {
    await using host = await FakeHost.start();
    const workspace = await host.create({ idlePauseSeconds: 86_400, checkpointEverySeconds: 600 });
    const taken = async () => (await workspace.listCheckpoints()).checkpoints.length;
    await host.pass(1200);
    expect(await taken()).toBe(0);
    workspace.meter.markInput("terminal");
    await host.pass(700);
    await expect.poll(taken).toBe(1);
    await host.pass(1300);
    expect(await taken()).toBe(1);
    workspace.meter.markInput("terminal");
    await host.pass(700);
    await expect.poll(taken).toBe(2);
    const { checkpoints } = await workspace.listCheckpoints();
    expect(checkpoints.every(({ kind, hasMemory }) => kind === "automatic" && !hasMemory)).toBe(true);
  });

  const at = (kind: CheckpointInfo["kind"], createdAtMs: number): CheckpointInfo => ({
    checkpointId: `${kind}-${createdAtMs}`,
    name: "x",
    kind,
    createdAtMs,
    hasMemory: false,
    parentId: null,
    ownBytes: 1,
  });
  const DAY = 86_400_000;

  it("are thinned to the newest five and one of each day", () => {
    const now = 100 * DAY + 1000;
    const today = Array.from({ length: 8 }, (_, index) => at("automatic", 100 * DAY + index));
    const before = [at("automatic", 99 * DAY + 5), at("automatic", 99 * DAY + 9), at("automatic", 20 * DAY)];
    const gone = surplusCheckpoints([...today, ...before, at("named", 1)], 100, now);
    expect(gone.toSorted()).toEqual(
      [
        "automatic-8640000000",
        "automatic-8640000001",
        "automatic-8640000002",
        "automatic-8553600005",
        "automatic-1728000000",
      ].toSorted(),
    );
  });

  it("never outgrow the plan, and named ones are never thinned", () => {
    const many = Array.from({ length: 30 }, (_, day) => at("automatic", day * DAY));
    const kept = (limit: number) => many.length - surplusCheckpoints(many, limit, 29 * DAY).length;
    expect(kept(3)).toBe(3);
    expect(kept(100)).toBe(30);
    expect(
      surplusCheckpoints(
        Array.from({ length: 50 }, (_, day) => at("named", day)),
        5,
        0,
      ),
    ).toEqual([]);
    expect(
      surplusCheckpoints(
        Array.from({ length: 9 }, (_, day) => at("safety", day)),
        1,
        0,
      ),
    ).toHaveLength(4);
  });
});

describe("restore", () => {
  it("puts files and memory back, runs again, and can be undone", async () => {
    const { host, workspace, machine } = await running();
    await using _host = host;
    const checkpointId = randomUUID();
    const safetyCheckpointId = randomUUID();
    await workspace.checkpoint(checkpointId, named("first"));
    machine.save("work", "v2");
    machine.guest.counter = 9;
    await workspace.restore({ checkpointId, safetyCheckpointId });
    expect(workspace.status).toMatchObject({ state: "running", reason: "restored", startedBy: "resume" });
    expect(host.source.machine.read("work")).toBe("v1");
    expect(host.source.machine.guest.counter).toBe(7);
    expect(host.source.machine.guest.hellos.at(-1)?.reason).toBe("create");
    expect(machine.isGone).toBe(true);
    expect(workspace.status.lostMemory).toBeUndefined();
    await workspace.restore({ checkpointId: safetyCheckpointId, safetyCheckpointId: randomUUID() });
    expect(host.source.machine.read("work")).toBe("v2");
    expect(host.source.machine.guest.counter).toBe(9);
    expect(host.source.violations).toEqual([]);
  });

  it("does nothing when it is repeated", async () => {
    const { host, workspace } = await running();
    await using _host = host;
    const wish = { checkpointId: randomUUID(), safetyCheckpointId: randomUUID() };
    await workspace.checkpoint(wish.checkpointId, named("first"));
    await workspace.restore({ ...wish, generation: workspace.status.generation });
    host.source.machine.save("work", "v3");
    await workspace.restore({ ...wish, generation: 1 });
    expect(host.source.machine.read("work")).toBe("v3");
  });

  it("of a stopped workspace leaves it stopped; its next start has the checkpoint's memory", async () => {
    const { host, workspace } = await running();
    await using _host = host;
    const checkpointId = randomUUID();
    await workspace.checkpoint(checkpointId, named("first"));
    await workspace.stop("requested");
    await workspace.restore({ checkpointId, safetyCheckpointId: randomUUID() });
    expect(workspace.status).toMatchObject({ state: "stopped", reason: "restored" });
    expect(host.endedViews).toContain(workspace.id);
    await workspace.start("requested");
    expect(workspace.status.startedBy).toBe("resume");
    expect(host.source.machine.guest.counter).toBe(7);
  });

  it("boots when the checkpoint's memory cannot be used, and says so", async () => {
    const { host, workspace } = await running();
    await using _host = host;
    const checkpointId = randomUUID();
    await workspace.checkpoint(checkpointId, named("first"));
    host.source.before = (operation) => {
      if (operation === "resumeCheckpoint") throw new AtollError("snapshot.incompatible");
    };
    await workspace.restore({ checkpointId, safetyCheckpointId: randomUUID() });
    expect(workspace.status).toMatchObject({
      state: "running",
      startedBy: "boot",
      lostMemory: { code: "snapshot.incompatible" },
    });
    expect(host.source.machine.read("work")).toBe("v1");
  });

  it.each(["openCheckpoint", "capture", "keep", "restore"])(
    "that fails at %s leaves everything as it was, running",
    async (where) => {
      const { host, workspace, machine } = await running();
      await using _host = host;
      const checkpointId = randomUUID();
      await workspace.checkpoint(checkpointId, named("first"));
      machine.save("work", "v2");
      machine.guest.counter = 9;
      let failures = 1;
      host.source.before = (operation) => {
        if (operation === where && failures-- > 0) throw new AtollError("host.disk_full");
      };
      await expect(
        workspace.restore({ checkpointId, safetyCheckpointId: randomUUID() }),
      ).rejects.toMatchObject({
        code: "host.disk_full",
      });
      expect(workspace.status.state).toBe("running");
      expect(workspace.status.operation).toBeUndefined();
      expect(host.source.machine.read("work")).toBe("v2");
      expect(host.source.machine.guest.counter).toBe(9);
      expect(host.source.machine.guest.isFrozen).toBe(false);
      expect(host.source.violations).toEqual([]);
    },
  );

  it("keeps work done between a failed try and its repetition", async () => {
    const { host, workspace, machine, disk } = await running();
    await using _host = host;
    const wish = { checkpointId: randomUUID(), safetyCheckpointId: randomUUID() };
    await workspace.checkpoint(wish.checkpointId, named("first"));
    let failures = 1;
    host.source.before = (operation) => {
      if (operation === "restore" && failures-- > 0) throw new AtollError("host.disk_full");
    };
    machine.save("work", "v2");
    await expect(workspace.restore(wish)).rejects.toBeInstanceOf(AtollError);
    host.source.machine.save("work", "v3");
    await workspace.restore(wish);
    expect(host.source.machine.read("work")).toBe("v1");
    expect([...disk.checkpoints.values()].some(({ content }) => content.get("work") === "v3")).toBe(true);
  });

  it("names a checkpoint that is not there", async () => {
    const { host, workspace } = await running();
    await using _host = host;
    const wish = { checkpointId: randomUUID(), safetyCheckpointId: randomUUID() };
    await expect(workspace.restore(wish)).rejects.toMatchObject({ code: "checkpoint.not_found" });
    expect(host.source.calls).not.toContain("capture");
  });
});

describe("flattening", () => {
  it("follows a checkpoint that made the disk deep, shown while it runs", async () => {
    const { host, workspace, disk } = await running();
    await using _host = host;
    disk.layerCount = DISK_LAYERS_FLATTEN;
    await workspace.checkpoint(randomUUID(), named("deep"));
    await expect.poll(() => disk.layerCount).toBe(1);
    expect(host.statuses.some(({ operation }) => operation?.kind === "flatten")).toBe(true);
  });

  it("follows a fork that did", async () => {
    const { host, workspace, disk } = await running();
    await using _host = host;
    disk.layerCount = DISK_LAYERS_FLATTEN;
    await host.create({ origin: { kind: "workspace", workspaceId: workspace.id } });
    await expect.poll(() => disk.layerCount).toBe(1);
  });

  it("gives way to whatever somebody asks for", async () => {
    const { host, workspace, disk } = await running();
    await using _host = host;
    const begun = Promise.withResolvers<void>();
    host.source.flatten = (request) => {
      begun.resolve();
      return new Promise((_resolve, reject) => {
        request.signal?.addEventListener("abort", () => reject(request.signal?.reason));
      });
    };
    disk.layerCount = DISK_LAYERS_FLATTEN;
    await workspace.checkpoint(randomUUID(), named("deep"));
    await begun.promise;
    await workspace.pause("requested");
    expect(workspace.status.state).toBe("paused");
  });
});
