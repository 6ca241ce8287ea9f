/** Things that happen at once: each has one named outcome, nothing saved is lost, and a delete always ends. */
import { randomUUID } from "node:crypto";
import { AtollError } from "@atoll/protocol/atoll-error";
import { describe, expect, it } from "vitest";
import { FakeHost } from "../testing/fake-host.ts";
import type { Workspace } from "./workspace.ts";

const retention = { stopAfterPausedSeconds: 1000, archiveAfterStoppedSeconds: 1000 };

describe("at once", () => {
  it("two tabs resume: one start, both find it running", async () => {
    await using host = await FakeHost.start();
    const workspace = await host.create();
    await workspace.pause("requested");
    const calls = host.source.calls.length;
    await Promise.all([workspace.start("session_opened"), workspace.start("session_opened")]);
    expect(workspace.status.state).toBe("running");
    expect(host.source.calls.slice(calls)).toEqual(["resume"]);
  });

  it("idle fires as the user returns: it either never pauses or is back at once", async () => {
    await using host = await FakeHost.start({ pauseGraceMs: 60_000 });
    const workspace = await host.create({ idlePauseSeconds: 60 });
    const { machine } = host.source;
    machine.guest.counter = 7;
    const quiescing = Promise.withResolvers<void>();
    machine.guest.quiesce = () => {
      quiescing.resolve();
      return { frozen: true };
    };
    await host.drive(quiescing.promise);
    workspace.meter.markInput("terminal");
    await workspace.start("session_opened");
    expect(workspace.status.state).toBe("running");
    expect(host.source.machine).toBe(machine);
    expect(machine.guest.counter).toBe(7);
    expect(machine.guest.isFrozen).toBe(false);
    expect(workspace.status.pausesAtMs).toBeGreaterThan(host.clock.now());
  });

  it("a view of what is off is being opened: a start does not wait for it, nor for ever for its end", async () => {
    await using host = await FakeHost.start();
    const workspace = await host.create();
    await workspace.stop("requested");
    const view = new AbortController();
    const [opening, opened] = [Promise.withResolvers<void>(), Promise.withResolvers<string>()];
    const late: string[] = [];
    const off = workspace.whileOff(
      () => {
        opening.resolve();
        return opened.promise;
      },
      { signal: view.signal, onLate: (one) => late.push(one) },
    );
    off.catch(() => {});
    await opening.promise;
    const started = workspace.start("requested");
    await expect.poll(() => host.endedViews).toContain(workspace.id);
    view.abort(new AtollError("view.unavailable"));
    await host.drive(started);
    expect(workspace.status.state).toBe("running");
    await expect(off).rejects.toMatchObject({ code: "view.unavailable" });
    opened.resolve("a machine");
    await expect.poll(() => late).toEqual(["a machine"]);
  });

  it("a view that waits for its turn is given up at once: what runs may wait for just that", async () => {
    await using host = await FakeHost.start();
    const workspace = await host.create();
    await workspace.stop("requested");
    const running = Promise.withResolvers<void>();
    const { signal } = new AbortController();
    const first = workspace.whileOff(() => running.promise, { signal, onLate: () => {} });
    const view = new AbortController();
    const begun: string[] = [];
    const second = workspace.whileOff(async () => begun.push("second"), {
      signal: view.signal,
      onLate: () => {},
    });
    view.abort(new AtollError("view.unavailable"));
    await expect(second).rejects.toMatchObject({ code: "view.unavailable" });
    running.resolve();
    await host.drive(first);
    await workspace.start("requested");
    expect(begun).toEqual([]);
  });

  it("a view that never opens gives its turn back", async () => {
    await using host = await FakeHost.start();
    const workspace = await host.create();
    await workspace.stop("requested");
    const { signal } = new AbortController();
    const off = workspace.whileOff(() => new Promise<never>(() => {}), { signal, onLate: () => {} });
    await expect(host.drive(off)).rejects.toMatchObject({ code: "request.timeout" });
  });

  it("pause and resume asked for many times end in the last one asked for", async () => {
    await using host = await FakeHost.start({ pauseGraceMs: 60_000 });
    const workspace = await host.create();
    const asked = Array.from({ length: 10 }, (_, index) =>
      index % 2 === 0 ? workspace.pause("requested") : workspace.start("requested"),
    );
    await Promise.all(asked);
    expect(workspace.status.state).toBe("running");
    expect(host.source.liveMachines).toHaveLength(1);
    expect(host.source.violations).toEqual([]);
  });

  it("is refused when somebody repeats himself without end", async () => {
    await using host = await FakeHost.start();
    const workspace = await host.create();
    const many = Array.from({ length: 40 }, () => workspace.pause("requested"));
    const codes = await Promise.allSettled(many);
    const refused = codes.flatMap((one) =>
      one.status === "rejected" ? [(one.reason as AtollError).code] : [],
    );
    expect(new Set(refused)).toEqual(new Set(["workspace.busy"]));
    expect(workspace.status.state).toBe("paused");
  });

  it("a machine that dies while it is paused, checkpointed or restored leaves a workspace that starts", async () => {
    for (const operation of ["pause", "checkpoint", "restore"] as const) {
      await using host = await FakeHost.start({ pauseGraceMs: 60_000 });
      const workspace = await host.create();
      const { machine } = host.source;
      machine.save("work", "v1");
      const checkpointId = randomUUID();
      await workspace.checkpoint(checkpointId, { name: "first", withMemory: true });
      machine.guest.quiesce = () => {
        queueMicrotask(() => machine.exit({ reason: "crashed", detail: "signal 9" }));
        return { frozen: true };
      };
      const run = {
        pause: () => workspace.pause("requested"),
        checkpoint: () => workspace.checkpoint(randomUUID(), { name: "x", withMemory: true }),
        restore: () => workspace.restore({ checkpointId, safetyCheckpointId: randomUUID() }),
      }[operation];
      await expect(host.drive<unknown>(run()), operation).rejects.toBeInstanceOf(AtollError);
      await host.drive(host.reached(workspace, "failed"));
      expect(workspace.status, operation).toMatchObject({ lostMemory: { code: "vm.gone" } });
      await host.drive(workspace.start("requested"));
      expect(host.source.machine.read("work"), operation).toBe("v1");
      expect(host.source.violations, operation).toEqual([]);
    }
  });
});

describe("delete while", () => {
  /** Each begins its operation; `hold` keeps it in the step of that name until the delete came. */
  const CASES: Array<{
    name: string;
    hold: string;
    prepare?: (workspace: Workspace, host: FakeHost) => Promise<unknown>;
    begin: (workspace: Workspace, host: FakeHost) => Promise<unknown>;
  }> = [
    { name: "pausing", hold: "reserve", begin: (workspace) => workspace.pause("requested") },
    { name: "sealing", hold: "seal", begin: (workspace) => workspace.pauseToDisk("requested") },
    {
      name: "resuming",
      hold: "resume",
      prepare: (workspace) => workspace.pauseToDisk("requested"),
      begin: (workspace) => workspace.start("requested"),
    },
    {
      name: "booting",
      hold: "boot",
      prepare: (workspace) => workspace.stop("requested"),
      begin: (workspace) => workspace.start("requested"),
    },
    {
      name: "being captured",
      hold: "capture",
      begin: (workspace) => workspace.checkpoint(randomUUID(), { name: "x", withMemory: true }),
    },
    {
      name: "storing a checkpoint",
      hold: "keep",
      begin: (workspace) => workspace.checkpoint(randomUUID(), { name: "x", withMemory: true }),
    },
    {
      name: "restoring",
      hold: "restore",
      begin: async (workspace) => {
        const { checkpoints } = await workspace.listCheckpoints();
        const checkpointId = checkpoints[0]?.checkpointId ?? "";
        await workspace.restore({ checkpointId, safetyCheckpointId: randomUUID() });
      },
    },
    {
      name: "starting after a restore",
      hold: "resumeCheckpoint",
      begin: async (workspace) => {
        const { checkpoints } = await workspace.listCheckpoints();
        const checkpointId = checkpoints[0]?.checkpointId ?? "";
        await workspace.restore({ checkpointId, safetyCheckpointId: randomUUID() });
      },
    },
    {
      name: "deleting a checkpoint",
      hold: "deleteCheckpoint",
      begin: async (workspace) => {
        const { checkpoints } = await workspace.listCheckpoints();
        await workspace.deleteCheckpoint(checkpoints[0]?.checkpointId ?? "");
      },
    },
    {
      name: "being archived",
      hold: "archive",
      prepare: (workspace) => workspace.stop("requested"),
      begin: async (workspace, host) => {
        host.clock.advance(1_000_000);
        await host.reached(workspace, "archived");
      },
    },
    {
      name: "coming out of the archive",
      hold: "unarchive",
      prepare: async (workspace, host) => {
        await workspace.stop("requested");
        host.clock.advance(1_000_000);
        await host.drive(host.reached(workspace, "archived"));
      },
      begin: (workspace) => workspace.start("requested"),
    },
    {
      name: "somebody forks it",
      hold: "createFrom",
      begin: (workspace, host) =>
        host.create({ slug: "fork", origin: { kind: "workspace", workspaceId: workspace.id } }),
    },
  ];

  it.each(CASES)("$name", async ({ hold, prepare, begin }) => {
    await using host = await FakeHost.start({ pauseGraceMs: 60_000 });
    const workspace = await host.create({ idlePauseSeconds: 86_400, retention });
    await workspace.checkpoint(randomUUID(), { name: "first", withMemory: true });
    await prepare?.(workspace, host);
    const reached = Promise.withResolvers<void>();
    host.source.before = (operation) => {
      if (operation !== hold) return;
      reached.resolve();
      // As a step that obeys nothing: the delete does not wait for it.
      return new Promise(() => {});
    };
    const operation = begin(workspace, host);
    operation.catch(() => {});
    await host.drive(reached.promise);
    const [erasure] = await host.drive(host.registry.erase(workspace.id));
    expect(erasure).toMatchObject({ workspaceId: workspace.id, keyDestroyedAtMs: 1 });
    expect(workspace.status.state).toBe("erased");
    expect(workspace.status.operation).toBeUndefined();
    expect([...host.source.disks.values()].some((disk) => disk.workspaceId === workspace.id)).toBe(false);
    expect(host.source.liveMachines.some(({ disk }) => disk?.workspaceId === workspace.id)).toBe(false);
    expect(host.source.violations).toEqual([]);
    const refused = workspace.start("requested");
    await expect(refused).rejects.toMatchObject({ code: "workspace.deleted" });
  });

  it("a machine that came just when its start was told to stop is not left behind", async () => {
    await using host = await FakeHost.start();
    const workspace = await host.create();
    await workspace.pause("requested");
    const reached = Promise.withResolvers<void>();
    const resume = host.source.resume.bind(host.source);
    host.source.resume = async (request, disk, snapshot) => {
      const resumed = await resume(request, disk, snapshot);
      const stopped = new Promise((resolve) => request.signal?.addEventListener("abort", resolve));
      reached.resolve();
      await stopped;
      return resumed;
    };
    workspace.start("requested").catch(() => {});
    await reached.promise;
    expect(host.source.liveMachines).toHaveLength(1);
    await host.drive(host.registry.erase(workspace.id));
    await expect.poll(() => host.source.liveMachines.length).toBe(0);
  });

  it("a step that comes to its end after all leaves no machine behind", async () => {
    await using host = await FakeHost.start();
    const workspace = await host.create();
    await workspace.pause("requested");
    const late = Promise.withResolvers<void>();
    const reached = Promise.withResolvers<void>();
    const resume = host.source.resume.bind(host.source);
    host.source.resume = async (request, disk, snapshot) => {
      reached.resolve();
      const resumed = await resume(request, disk, snapshot);
      await late.promise;
      return resumed;
    };
    workspace.start("requested").catch(() => {});
    await reached.promise;
    const erased = host.drive(host.registry.erase(workspace.id));
    await host.pass(15);
    late.resolve();
    await erased;
    await expect.poll(() => host.source.liveMachines.length).toBe(0);
  });
});

describe("the key store is down", () => {
  it("keeps a workspace where it was, says why, and starts it when it is back", async () => {
    await using host = await FakeHost.start();
    const workspace = await host.create({ retention });
    for (const [state, begin] of [
      ["paused", () => workspace.pause("requested")],
      ["stopped", () => workspace.stop("requested")],
    ] as const) {
      await begin();
      host.source.before = () => {
        throw new AtollError("key.unavailable");
      };
      await expect(workspace.start("requested")).rejects.toMatchObject({ code: "key.unavailable" });
      expect(workspace.status).toMatchObject({ state, reason: "start_failed", errorCode: "key.unavailable" });
      host.source.before = () => {};
      await workspace.start("requested");
      expect(workspace.status.errorCode).toBeUndefined();
    }
    expect(host.source.violations).toEqual([]);
  });
});
