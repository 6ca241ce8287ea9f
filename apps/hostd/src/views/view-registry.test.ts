import { randomUUID } from "node:crypto";
import { AtollError } from "@atoll/protocol/atoll-error";
import { call } from "@atoll/protocol/call";
import { corePing } from "@atoll/protocol/messages/core";
import { viewMount } from "@atoll/protocol/messages/views";
import { pino } from "pino";
import { describe, expect, it } from "vitest";
import { FakeHost } from "../testing/fake-host.ts";
import type { FakeMachine } from "../testing/fake-machine.ts";
import { ViewRegistry } from "./view-registry.ts";

async function start(options: { maxViews?: number; mount?: () => Promise<{ isRepaired: boolean }> } = {}) {
  const host = await FakeHost.start();
  const machines: FakeMachine[] = [];
  const seen = { opened: 0, presets: 0, reserved: new Set<string>() };
  const hooks = { before: async () => {} };
  const views = new ViewRegistry({
    source: {
      openView: async (owner, checkpointId, signal) => {
        seen.opened += 1;
        await hooks.before();
        const opened = await host.source.openView(owner, checkpointId);
        const machine = opened.machine as FakeMachine;
        machine.guest.dispatcher.onRequest(viewMount, options.mount ?? (async () => ({ isRepaired: false })));
        machines.push(machine);
        // As a launch that noticed its signal late.
        void signal;
        return opened;
      },
    },
    createOutbound: () => ({
      onOpen: (open) => void open.accept(),
      presetChanged: () => void seen.presets++,
    }),
    admission: {
      reserve: async (id) => void seen.reserved.add(id),
      release: (id) => void seen.reserved.delete(id),
    },
    clock: host.clock,
    logger: pino({ level: "silent" }),
    ...(options.maxViews === undefined ? {} : { maxViews: options.maxViews }),
  });
  const checkpointed = async () => {
    const workspace = await host.create();
    const checkpointId = randomUUID();
    await workspace.checkpoint(checkpointId, { name: "one", withMemory: false });
    return { workspace, checkpointId };
  };
  return {
    host,
    views,
    machines,
    seen,
    hooks,
    checkpointed,
    async [Symbol.asyncDispose]() {
      await views[Symbol.asyncDispose]();
      await host[Symbol.asyncDispose]();
    },
  };
}

describe("a view", () => {
  it("is a machine of its own, with another identity than its workspace's", async () => {
    await using one = await start();
    const { workspace, checkpointId } = await one.checkpointed();
    const view = one.views.open(workspace, checkpointId);
    expect(await view.ready).toEqual({ isRepaired: false });
    const mux = view.guest?.mux;
    expect(mux && (await call(mux, corePing, {}))).toEqual({ uptimeMs: 1 });
    const [hello] = one.machines[0]?.guest.hellos ?? [];
    const own = one.host.source.machines.find(({ isGone }) => !isGone)?.guest.hellos[0];
    expect(hello?.reason).toBe("create");
    expect(hello?.identity.workspaceId).not.toContain(workspace.id);
    expect(hello?.identity.machineId).not.toBe(own?.identity.machineId);
    expect(hello?.entropy).not.toBe(own?.entropy);
    expect(workspace.status.state).toBe("running");
    expect(workspace.status.awakeBecause ?? []).toEqual([]);
  });

  it("is shared by all who look at the same state, and by nobody else", async () => {
    await using one = await start();
    const { workspace, checkpointId } = await one.checkpointed();
    const other = await one.checkpointed();
    const uses = [
      one.views.open(workspace, checkpointId),
      one.views.open(workspace, checkpointId),
      one.views.open(other.workspace, other.checkpointId),
    ];
    await Promise.all(uses.map(({ ready }) => ready));
    expect(one.seen.opened).toBe(2);
    expect(uses[0]?.guest).toBe(uses[1]?.guest);
    expect(uses[0]?.guest).not.toBe(uses[2]?.guest);
  });

  it("ends a minute after the last who looked, not before, and gives its place back", async () => {
    await using one = await start();
    const { workspace, checkpointId } = await one.checkpointed();
    const first = one.views.open(workspace, checkpointId);
    const second = one.views.open(workspace, checkpointId);
    await first.ready;
    first.release();
    first.release();
    one.host.clock.advance(120_000);
    expect(one.machines[0]?.isGone).toBe(false);
    second.release();
    one.host.clock.advance(59_999);
    const third = one.views.open(workspace, checkpointId);
    one.host.clock.advance(60_000);
    expect(one.seen.opened).toBe(1);
    third.release();
    one.host.clock.advance(60_000);
    await expect.poll(() => one.views.viewCount).toBe(0);
    expect(one.machines[0]?.isGone).toBe(true);
    expect(one.seen.reserved.size).toBe(0);
  });

  it("of the disk as it lies there is refused while there is a machine, and ends before one starts", async () => {
    await using one = await start();
    const workspace = await one.host.create();
    const refused = one.views.open(workspace, null);
    await expect(refused.ready).rejects.toMatchObject({ code: "view.unavailable" });
    expect((await refused.ended).code).toBe("view.unavailable");
    await workspace.stop("requested");
    const view = one.views.open(workspace, null);
    await view.ready;
    await one.views.endCurrent(workspace.id);
    expect(one.machines.at(-1)?.isGone).toBe(true);
    expect((await view.ended).code).toBe("view.unavailable");
    expect(view.guest).toBeUndefined();
    await workspace.start("requested");
  });

  it("of a checkpoint goes on while its workspace starts, and ends with the checkpoint", async () => {
    await using one = await start();
    const { workspace, checkpointId } = await one.checkpointed();
    const view = one.views.open(workspace, checkpointId);
    await view.ready;
    await one.views.endCurrent(workspace.id);
    expect(view.guest).toBeDefined();
    await one.views.endCheckpoint(workspace.id, checkpointId);
    expect((await view.ended).code).toBe("checkpoint.not_found");
  });

  it("that cannot be opened tells everybody why, and the next one tries anew", async () => {
    let isBroken = true;
    await using one = await start({
      mount: async () => {
        if (isBroken) throw new AtollError("view.unavailable");
        return { isRepaired: true };
      },
    });
    const { workspace, checkpointId } = await one.checkpointed();
    const unknown = one.views.open(workspace, randomUUID());
    await expect(unknown.ready).rejects.toMatchObject({ code: "checkpoint.not_found" });
    const first = one.views.open(workspace, checkpointId);
    const second = one.views.open(workspace, checkpointId);
    await expect(first.ready).rejects.toMatchObject({ code: "view.unavailable" });
    expect((await second.ended).code).toBe("view.unavailable");
    await expect.poll(() => one.views.viewCount).toBe(0);
    expect(one.machines.every(({ isGone }) => isGone)).toBe(true);
    isBroken = false;
    expect(await one.views.open(workspace, checkpointId).ready).toEqual({ isRepaired: true });
  });

  it("whose machine dies ends with it", async () => {
    await using one = await start();
    const { workspace, checkpointId } = await one.checkpointed();
    const view = one.views.open(workspace, checkpointId);
    await view.ready;
    one.machines[0]?.exit({ reason: "crashed", detail: "signal 9" });
    expect((await view.ended).code).toBe("vm.gone");
    await expect.poll(() => one.views.viewCount).toBe(0);
  });

  it("passes a changed preset on", async () => {
    await using one = await start();
    const { workspace, checkpointId } = await one.checkpointed();
    await one.views.open(workspace, checkpointId).ready;
    one.views.presetChanged(workspace.id);
    one.views.presetChanged(randomUUID());
    expect(one.seen.presets).toBe(1);
  });
});

describe("the end of a workspace", () => {
  it("ends its views before it resolves, also one that is just being opened", async () => {
    await using one = await start();
    const { workspace, checkpointId } = await one.checkpointed();
    const ready = one.views.open(workspace, checkpointId);
    await ready.ready;
    const opening = Promise.withResolvers<void>();
    const launch = Promise.withResolvers<void>();
    one.hooks.before = async () => {
      opening.resolve();
      await launch.promise;
    };
    const second = randomUUID();
    await workspace.checkpoint(second, { name: "two", withMemory: false });
    const late = one.views.open(workspace, second);
    await opening.promise;
    let isEnded = false;
    const ended = one.views.endWorkspace(workspace.id, new AtollError("workspace.deleted")).then(() => {
      isEnded = true;
    });
    expect((await late.ended).code).toBe("workspace.deleted");
    await new Promise((resolve) => setImmediate(resolve));
    expect(isEnded).toBe(false);
    launch.resolve();
    await ended;
    expect(one.machines.map(({ isGone }) => isGone)).toEqual([true, true]);
    await expect(late.ready).rejects.toMatchObject({ code: "workspace.deleted" });
    expect(one.seen.reserved.size).toBe(0);
  });

  it("refuses new ones", async () => {
    await using one = await start();
    const { workspace, checkpointId } = await one.checkpointed();
    await workspace.entomb();
    expect(() => one.views.open(workspace, checkpointId)).toThrow(
      expect.objectContaining({ code: "workspace.deleted" }),
    );
  });
});

describe("the host's limit", () => {
  it("refuses one more, and lets one that nobody looks at make room", async () => {
    await using one = await start({ maxViews: 2 });
    const all = [await one.checkpointed(), await one.checkpointed(), await one.checkpointed()];
    const [first, second, third] = all.map(
      ({ workspace, checkpointId }) =>
        () =>
          one.views.open(workspace, checkpointId),
    );
    const uses = [first?.(), second?.()];
    await Promise.all(uses.map((use) => use?.ready));
    expect(third).toThrow(expect.objectContaining({ code: "host.full" }));
    uses[1]?.release();
    await third?.().ready;
    expect((await uses[1]?.ended)?.code).toBe("view.unavailable");
    expect(uses[0]?.guest).toBeDefined();
  });

  it("is one of tabs, too", async () => {
    await using one = await start();
    const { workspace, checkpointId } = await one.checkpointed();
    for (let tab = 0; tab < 16; tab++) one.views.open(workspace, checkpointId);
    expect(() => one.views.open(workspace, checkpointId)).toThrow(
      expect.objectContaining({ code: "link.stream_limit" }),
    );
  });

  it("ends everything when the host goes", async () => {
    const one = await start();
    const { workspace, checkpointId } = await one.checkpointed();
    const view = one.views.open(workspace, checkpointId);
    await view.ready;
    await one.views[Symbol.asyncDispose]();
    expect(one.machines[0]?.isGone).toBe(true);
    expect((await view.ended).code).toBe("host.draining");
    expect(() => one.views.open(workspace, checkpointId)).toThrow(
      expect.objectContaining({ code: "host.draining" }),
    );
    await one[Symbol.asyncDispose]();
  });
});
