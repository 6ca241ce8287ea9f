import { call } from "@atoll/protocol/call";
import { corePing } from "@atoll/protocol/messages/core";
import { describe, expect, it } from "vitest";
import type { DiskRefusal } from "../hypervisor/hypervisor.ts";
import { FakeHost } from "../testing/fake-host.ts";

/** Longer than an agent may be silent. */
const LONG_SECONDS = 180;

async function standing(code: DiskRefusal) {
  const host = await FakeHost.start({ pauseGraceMs: 5000 });
  const workspace = await host.create({ idlePauseSeconds: 36_000 });
  const { machine } = host.source;
  machine.refuseWrites(code);
  // As vCPUs that stand still: the agent takes in nothing.
  machine.guest.isSilent = true;
  await expect
    .poll(() => workspace.status)
    .toMatchObject({
      ...{ state: "running", reason: "host_disk", errorCode: code },
    });
  return { host, workspace, machine };
}

describe("a guest whose writes the host's disk refuses", () => {
  it("stands still for as long as there is no room, and goes on when there is", async () => {
    const { host, workspace, machine } = await standing("host.disk_full");
    await using _host = host;
    await host.pass(LONG_SECONDS);
    expect([machine.isGone, machine.isRunning, workspace.status.reason]).toEqual([false, false, "host_disk"]);
    expect(host.notices).toContain("host.disk_full");
    machine.refuseWrites(undefined);
    machine.guest.isSilent = false;
    await host.pass(10);
    expect(machine.isRunning).toBe(true);
    await expect.poll(() => workspace.status.reason).toBe("requested");
    expect(workspace.status.errorCode).toBeUndefined();
    expect(workspace.status.lostMemory).toBeUndefined();
    const mux = workspace.guest?.mux;
    if (mux === undefined) throw new Error("there is no link");
    expect(await call(mux, corePing, {})).toEqual({ uptimeMs: 1 });
  });

  it("is not paused or captured meanwhile, which is said at once, and can be stopped", async () => {
    const { host, workspace, machine } = await standing("host.disk_full");
    await using _host = host;
    await expect(workspace.pause("requested")).rejects.toMatchObject({ code: "host.disk_full" });
    await expect(workspace.capture()).rejects.toMatchObject({ code: "host.disk_full" });
    expect(workspace.status).toMatchObject({ state: "running", reason: "host_disk" });
    await host.drive(workspace.stop("requested"));
    expect([machine.isGone, workspace.status.state, workspace.status.errorCode]).toEqual([
      true,
      "stopped",
      undefined,
    ]);
  });

  it("is ended with its name when the disk does not take it within half a minute", async () => {
    const { host, workspace, machine } = await standing("host.disk_failed");
    await using _host = host;
    await host.pass(45);
    expect(machine.isGone).toBe(true);
    await expect
      .poll(() => workspace.status)
      .toMatchObject({
        ...{ state: "failed", reason: "vm_exited", errorCode: "host.disk_failed" },
        lostMemory: { code: "host.disk_failed" },
      });
    await workspace.start("requested");
    expect(workspace.status).toMatchObject({ state: "running", startedBy: "boot" });
  });

  it("goes on as well when a disk failed only for a moment", async () => {
    const { host, workspace, machine } = await standing("host.disk_failed");
    await using _host = host;
    await host.pass(12);
    machine.refuseWrites(undefined);
    machine.guest.isSilent = false;
    await host.pass(60);
    expect([machine.isGone, machine.isRunning]).toEqual([false, true]);
    await expect.poll(() => workspace.status).toMatchObject({ state: "running", reason: "requested" });
  });

  it("is still waited for after a restart of hostd", async () => {
    const { host, workspace } = await standing("host.disk_full");
    await using _host = host;
    const next = await FakeHost.start({ previous: host });
    const again = next.registry.get(workspace.id);
    await next.pass(LONG_SECONDS);
    expect(again.status).toMatchObject({
      state: "running",
      reason: "host_disk",
      errorCode: "host.disk_full",
    });
    const { machine } = next.source;
    machine.refuseWrites(undefined);
    machine.guest.isSilent = false;
    await next.pass(20);
    expect(machine.isRunning).toBe(true);
    await expect.poll(() => again.status).toMatchObject({ state: "running", reason: "host_restarted" });
    expect(again.status.errorCode).toBeUndefined();
  });

  it("does not start on a full disk, which is not its disk's fault", async () => {
    await using host = await FakeHost.start();
    const workspace = await host.create();
    await workspace.stop("requested");
    host.source.onMachine = (machine) => machine.refuseWrites("host.disk_full");
    await expect(workspace.start("requested")).rejects.toMatchObject({ code: "host.disk_full" });
    expect(workspace.status).toMatchObject({ state: "stopped", errorCode: "host.disk_full" });
  });

  it("that only saw an error goes on, and that is told once", async () => {
    await using host = await FakeHost.start();
    const workspace = await host.create();
    for (let count = 0; count < 3; count++) {
      host.source.machine.tell({ type: "disk_error", code: "host.disk_failed", isStanding: false });
    }
    expect(host.notices.filter((code) => code === "host.disk_failed")).toHaveLength(1);
    expect(workspace.status).toMatchObject({ state: "running", reason: "requested" });
  });
});
