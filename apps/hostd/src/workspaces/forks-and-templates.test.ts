import { randomUUID } from "node:crypto";
import { availableParallelism } from "node:os";
import { AtollError } from "@atoll/protocol/atoll-error";
import { coreScrub } from "@atoll/protocol/messages/core";
import { describe, expect, it } from "vitest";
import { FakeHost, OWNER } from "../testing/fake-host.ts";
import type { FakeMachine } from "../testing/fake-machine.ts";

const OTHER = "99999999-9999-4999-8999-999999999999";
const CALM = { idlePauseSeconds: 86_400 };

async function running() {
  const host = await FakeHost.start();
  host.source.onMachine = (machine: FakeMachine) => {
    machine.guest.dispatcher.onRequest(coreScrub, () => {
      machine.disk?.content.delete("secret");
      return { files: [{ path: "/home/dev/secret", rule: "key" }], count: 1 };
    });
  };
  const workspace = await host.create(CALM);
  const { machine } = host.source;
  machine.save("work", "v1");
  machine.save("secret", "token");
  machine.guest.counter = 7;
  const checkpointId = randomUUID();
  await workspace.checkpoint(checkpointId, { name: "first", withMemory: true });
  return { host, workspace, machine, checkpointId };
}

describe("a fork", () => {
  it("of a running workspace has its memory and files, its own identity, and the source goes on", async () => {
    const { host, workspace, machine } = await running();
    await using _host = host;
    const origin = { kind: "workspace", workspaceId: workspace.id } as const;
    const fork = await host.create({ ...CALM, slug: "fork", ownerId: OTHER, origin });
    expect(fork.status).toMatchObject({ state: "running", startedBy: "fork", reason: "requested" });
    const forked = host.source.machine;
    expect(forked.guest.counter).toBe(7);
    expect(forked.guest.hellos.at(-1)).toMatchObject({
      reason: "create",
      identity: { workspaceId: fork.id, hostname: "fork" },
      linkToken: fork.record.linkToken,
    });
    expect(fork.record.linkToken).not.toBe(workspace.record.linkToken);
    expect(workspace.status.state).toBe("running");
    machine.save("work", "source");
    forked.save("work", "fork");
    expect(machine.read("work")).toBe("source");
    expect(host.source.points.every(({ isDisposed }) => isDisposed)).toBe(true);
    expect(host.source.preparedForks.size).toBe(0);
    expect(host.source.violations).toEqual([]);
  });

  it("does not wait until its source has thawed; whatever is next for the source does", async () => {
    const { host, workspace, machine } = await running();
    await using _host = host;
    const { promise, resolve } = Promise.withResolvers<void>();
    machine.guest.beforeThaw = () => promise;
    const origin = { kind: "workspace", workspaceId: workspace.id } as const;
    const fork = await host.create({ ...CALM, slug: "fork", origin });
    expect(fork.status.state).toBe("running");
    expect(machine.guest.isFrozen).toBe(true);
    const checkpointing = workspace.checkpoint(randomUUID(), { name: "next", withMemory: true });
    expect(workspace.status.operation?.kind).toBe("fork");
    machine.guest.beforeThaw = () => {};
    resolve();
    await checkpointing;
    expect(machine.guest.isFrozen).toBe(false);
    expect(host.source.violations).toEqual([]);
  });

  it("that fails harms neither the source nor a second try", async () => {
    const { host, workspace, machine } = await running();
    await using _host = host;
    const id = randomUUID();
    const body = { ...CALM, slug: "fork", origin: { kind: "workspace", workspaceId: workspace.id } } as const;
    let failures = 1;
    host.source.before = (operation) => {
      if (operation === "createFrom" && failures-- > 0) throw new AtollError("host.full");
    };
    await expect(host.create(body, id)).rejects.toMatchObject({ code: "host.full" });
    expect(host.registry.get(id).status.state).toBe("failed");
    expect(workspace.status.state).toBe("running");
    machine.save("work", "v2");
    const fork = await host.create(body, id);
    expect(fork.status.state).toBe("running");
    expect(host.source.machine.read("work")).toBe("v2");
    expect(host.source.points.every(({ isDisposed }) => isDisposed)).toBe(true);
    expect(host.source.preparedForks.size).toBe(0);
  });

  it("of a checkpoint, of a paused and of a stopped workspace begins where that was", async () => {
    const { host, workspace, machine, checkpointId } = await running();
    await using _host = host;
    machine.save("work", "v2");
    const fromCheckpoint = { kind: "checkpoint", workspaceId: workspace.id, checkpointId } as const;
    await host.create({ ...CALM, slug: "one", origin: fromCheckpoint });
    expect(host.source.machine.read("work")).toBe("v1");
    await workspace.pause("requested");
    const fromWorkspace = { kind: "workspace", workspaceId: workspace.id } as const;
    await host.create({ ...CALM, slug: "two", origin: fromWorkspace });
    expect(host.source.machine.read("work")).toBe("v2");
    expect(host.source.machine.guest.counter).toBe(7);
    expect(workspace.status.state).toBe("paused");
    await workspace.stop("requested");
    const last = await host.create({ ...CALM, slug: "three", origin: fromWorkspace });
    expect(last.status).toMatchObject({ startedBy: "fork", state: "running" });
    expect(host.source.machine.guest.counter).toBe(0);
    expect(last.status.lostMemory).toBeUndefined();
  });

  it("of many at once begins as many memories at a time as there are cores", async () => {
    const { host, workspace, checkpointId } = await running();
    await using _host = host;
    const cores = availableParallelism();
    const createFrom = host.source.createFrom.bind(host.source);
    const gate = Promise.withResolvers<void>();
    let begun = 0;
    host.source.createFrom = async (...asked) => {
      begun += 1;
      await gate.promise;
      return createFrom(...asked);
    };
    const openBefore = host.source.points.length;
    const origin = { kind: "checkpoint", workspaceId: workspace.id, checkpointId } as const;
    const making = Array.from({ length: cores + 3 }, (_, index) =>
      host.create({ ...CALM, slug: `fork-${index}`, origin }),
    );
    await expect.poll(() => host.source.points.length - openBefore).toBe(making.length);
    expect(begun).toBe(cores);
    gate.resolve();
    const forks = await Promise.all(making);
    expect(forks.map(({ status }) => status.state)).toEqual(making.map(() => "running"));
  });

  it("is refused of itself, of nothing, and of what is deleted", async () => {
    const { host, workspace } = await running();
    await using _host = host;
    const id = randomUUID();
    const of = (workspaceId: string) => ({ origin: { kind: "workspace", workspaceId } as const });
    await expect(host.create(of(id), id)).rejects.toMatchObject({ code: "request.invalid" });
    await expect(host.create(of(randomUUID()))).rejects.toMatchObject({ code: "workspace.not_found" });
    await host.registry.erase(workspace.id);
    await expect(host.create(of(workspace.id))).rejects.toMatchObject({ code: "workspace.deleted" });
  });

  it("survives the erasure of its source", async () => {
    const { host, workspace } = await running();
    await using _host = host;
    const fork = await host.create({ ...CALM, origin: { kind: "workspace", workspaceId: workspace.id } });
    await host.registry.erase(workspace.id);
    await fork.pauseToDisk("requested");
    await fork.start("requested");
    expect(host.source.machine.read("work")).toBe("v1");
  });
});

describe("a template", () => {
  async function made() {
    const scene = await running();
    const { host, workspace, checkpointId } = scene;
    const templateId = randomUUID();
    const body = { ownerId: OWNER, workspaceId: workspace.id, checkpointId };
    const answer = await host.registry.templates.create(templateId, body);
    expect(answer.state).toBe("making");
    await host.drive(host.registry.templates.settled(templateId));
    return { ...scene, templateId, body, templates: host.registry.templates };
  }

  it("is made of a booted copy without the secrets, which are listed, and leaves no machine", async () => {
    const { host, templates, templateId, machine } = await made();
    await using _host = host;
    // The one that was scrubbed has seen them: its memory is not what is kept.
    const [scrubbed, prepared] = host.source.machines.filter((other) => other !== machine);
    expect([scrubbed?.isGone, prepared?.isGone, host.source.machines.length]).toEqual([true, true, 3]);
    expect(prepared?.guest.hellos.map(({ reason }) => reason)).toEqual(["boot", "create"]);
    expect(templates.get(templateId)).toMatchObject({
      state: "draft",
      ownerId: OWNER,
      scrubbed: [{ path: "/home/dev/secret", rule: "key" }],
    });
    expect(host.source.liveMachines).toHaveLength(1);
    const disk = [...host.source.disks.values()].find((one) => one.workspaceId === templateId);
    const [point] = [...(disk?.checkpoints.values() ?? [])];
    expect(point?.content.get("work")).toBe("v1");
    expect(point?.content.has("secret")).toBe(false);
    expect(point?.memory?.counter).toBe(prepared?.guest.counter);
    expect(host.source.violations).toEqual([]);
  });

  it("is begun from by its owner at once and by others once it is published", async () => {
    const { host, templates, templateId } = await made();
    await using _host = host;
    const origin = { kind: "template", templateId } as const;
    await host.create({ ...CALM, slug: "own", origin });
    const id = randomUUID();
    const foreign = { ...CALM, slug: "foreign", ownerId: OTHER, origin };
    await expect(host.create(foreign, id)).rejects.toMatchObject({ code: "template.not_found" });
    expect(await templates.publish(templateId)).toMatchObject({ state: "published" });
    expect(await templates.publish(templateId)).toMatchObject({ state: "published" });
    expect((await host.create(foreign, id)).status).toMatchObject({ state: "running", startedBy: "fork" });
    expect(host.source.machine.read("work")).toBe("v1");
  });

  it("is there after a restart, and its disk is not swept", async () => {
    const { host, templateId } = await made();
    await using _host = host;
    const next = await FakeHost.start({ previous: host });
    expect(next.registry.templates.get(templateId).state).toBe("draft");
    const origin = { kind: "template", templateId } as const;
    expect((await next.drive(next.create({ ...CALM, origin }))).status.state).toBe("running");
  });

  it("is erased with evidence, and what began from it stays", async () => {
    const { host, templates, templateId, body } = await made();
    await using _host = host;
    const fork = await host.create({ ...CALM, origin: { kind: "template", templateId } });
    const erasures = await templates.erase(templateId);
    expect(erasures).toMatchObject([{ workspaceId: templateId, keyDestroyedAtMs: 1 }]);
    expect(await templates.erase(templateId)).toEqual(erasures);
    expect(() => templates.get(templateId)).toThrow(AtollError);
    await expect(templates.create(templateId, body)).rejects.toMatchObject({ code: "template.not_found" });
    expect(fork.status.state).toBe("running");
  });

  it("goes with its owner", async () => {
    const { host, templateId, workspace } = await made();
    await using _host = host;
    const { erasures } = await host.registry.eraseOwner(OWNER);
    expect(erasures.map(({ workspaceId }) => workspaceId).toSorted()).toEqual(
      [templateId, workspace.id].toSorted(),
    );
    expect(host.source.disks.size).toBe(0);
  });

  it.each(["createFrom", "boot", "capture", "keep"])(
    "that fails at %s leaves nothing behind",
    async (where) => {
      const { host, workspace, checkpointId } = await running();
      await using _host = host;
      const templateId = randomUUID();
      host.source.before = (operation) => {
        if (operation === where) throw new AtollError("host.disk_full");
      };
      const { templates } = host.registry;
      await templates.create(templateId, { ownerId: OWNER, workspaceId: workspace.id, checkpointId });
      await host.drive(templates.settled(templateId));
      expect(templates.get(templateId)).toMatchObject({ state: "failed", errorCode: "host.disk_full" });
      expect(host.source.liveMachines).toHaveLength(1);
      expect(host.source.disks.size).toBe(1);
      await expect(templates.publish(templateId)).rejects.toMatchObject({ code: "template.not_ready" });
    },
  );

  it("erased while it is made is gone, machine and all", async () => {
    const { host, workspace, checkpointId } = await running();
    await using _host = host;
    const templateId = randomUUID();
    const capturing = Promise.withResolvers<void>();
    host.source.before = (operation) => {
      if (operation === "capture") capturing.resolve();
    };
    const { templates } = host.registry;
    await templates.create(templateId, { ownerId: OWNER, workspaceId: workspace.id, checkpointId });
    await capturing.promise;
    await host.drive(templates.erase(templateId));
    expect(host.source.liveMachines).toHaveLength(1);
    expect(host.source.disks.size).toBe(1);
  });

  it("cut off by a kill at any point is a failed one, with nothing left of it", async () => {
    for (let at = 0; at < 60; at++) {
      const { host, workspace, checkpointId } = await running();
      await using _host = host;
      const before = host.life.points.length;
      host.life.killAt = (_point, index) => index === before + at;
      const templateId = randomUUID();
      const { templates } = host.registry;
      const making = templates
        .create(templateId, { ownerId: OWNER, workspaceId: workspace.id, checkpointId })
        .then(() => templates.settled(templateId));
      making.catch(() => {});
      await host.drive(Promise.race([making, host.life.killed]));
      const isCut = host.life.isKilled;
      const next = await FakeHost.start({ previous: host });
      const info = next.registry.templates.list()[0];
      const what = `killed ${isCut ? host.life.points.at(-1) : "never"}`;
      if (info?.state === "draft") expect(next.source.disks.size, what).toBe(2);
      else {
        expect(info?.state ?? "failed", what).toBe("failed");
        expect(next.source.disks.size, what).toBe(1);
      }
      expect(next.source.liveMachines.length, what).toBe(1);
      if (!isCut) return;
    }
    throw new Error("it has more points than expected");
  });
});
