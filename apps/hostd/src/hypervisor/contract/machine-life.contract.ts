/** What both drivers must do, of a machine's life. Cases share a template: booting takes seconds. */
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { GuestProbe } from "../../testing/guest-probe.ts";
import type { LaunchSpec, Machine, MachineEvent } from "../hypervisor.ts";
import type { ContractHost } from "./contract-host.ts";

/** Emulated guests start their agent anew in seconds, on a busy host in many. */
const LONG = { timeout: 180_000 };
/** Together far more than a layer's clusters (64 KiB) have left: one byte may find room in a cluster that is there. */
const LARGE_KEYS = Array.from({ length: 8 }, (_, index) => `large-${index}`);
const LARGE = "2".repeat(50_000);

function nextDiskError(machine: Machine): Promise<MachineEvent> {
  const { promise, resolve } = Promise.withResolvers<MachineEvent>();
  const stop = machine.onEvent((event) => event.type === "disk_error" && resolve(event));
  return promise.finally(stop);
}

export function machineLifeContract(open: () => Promise<ContractHost>): void {
  let host: ContractHost;
  beforeAll(async () => {
    host = await open();
  });
  afterAll(() => host?.[Symbol.asyncDispose]());

  test("clones of one template go on from it, each on its own", async () => {
    await using first = await host.clone();
    await using second = await host.clone();
    const guests = [await host.startClone(first), await host.startClone(second)] as const;
    expect([await guests[0].count(), await guests[0].count(), await guests[1].count()]).toEqual([3, 4, 3]);
    expect(first.record.pid).not.toBe(second.record.pid);
    expect(first.record.uid).not.toBe(second.record.uid);
    for (const guest of guests) guest.close();
  });

  test("a stopped machine goes on where it was", async () => {
    await using machine = await host.clone();
    const guest = await host.startClone(machine);
    expect(await guest.count()).toBe(3);
    await machine.stop();
    const answer = guest.count();
    await machine.start();
    expect(await answer).toBe(4);
    guest.close();
  });

  test("a new connection replaces the one before", async () => {
    await using machine = await host.clone();
    const before = await machine.openLink();
    const closed = new Promise((resolve) => before.once("close", resolve));
    const guest = await host.startClone(machine);
    await closed;
    expect(await guest.count()).toBe(3);
    guest.close();
  });

  test("a machine outlives hostd: the next life adopts it and no other process", async () => {
    const linkToken = randomBytes(32).toString("hex");
    const disk = await host.newDisk();
    const machine = await host.clone(disk);
    const orphan = await host.clone();
    const guest = await host.startClone(machine, linkToken);
    expect(await guest.count()).toBe(3);
    await guest.writeDisk("before", "1");
    await disk.stopAndSwitch(machine, guest);
    guest.close();
    await host.hypervisor.letGo();
    const next = host.reopen();
    expect(await next.adopt({ ...machine.record, startTicks: "1" })).toBeUndefined();
    const adopted = await next.adopt(machine.record);
    if (adopted === undefined) throw new Error("the machine was not found again");
    expect(adopted.record).toEqual(machine.record);
    expect(await adopted.topLayerId()).toBe(disk.layers[1]?.layerId);
    await next.reap();
    expect(await next.adopt(orphan.record)).toBeUndefined();
    const resumed = await GuestProbe.start(adopted, {
      reason: "reconnect",
      expectedToken: linkToken,
      linkToken,
    });
    expect(await resumed.count()).toBe(4);
    await disk.stopAndSwitch(adopted, resumed);
    expect(await adopted.topLayerId()).toBe(disk.layers[2]?.layerId);
    await adopted.start();
    await resumed.thaw();
    expect(await resumed.readDisk("before")).toBe("1");
    await adopted.flatten();
    expect(await resumed.readDisk("before")).toBe("1");
    resumed.close();
    await adopted.kill();
    expect(await adopted.exited).toMatchObject({ reason: "killed" });
    expect(await next.adopt(machine.record)).toBeUndefined();
  });

  test("a guest that powers off is told apart from a kill", async () => {
    await using machine = await host.clone();
    const guest = await host.startClone(machine);
    await guest.shutDown();
    expect(await machine.exited).toMatchObject({ reason: "guest_halted" });
    guest.close();
    await expect(machine.start()).rejects.toMatchObject({ code: "vm.gone" });
  });

  test.each(["reboot", "panic"] as const)(
    "a guest that resets is told apart from one that powers off: %s",
    async (how) => {
      await using machine = await host.clone();
      const guest = await host.startClone(machine);
      const reset = guest.reset(how);
      expect(await machine.exited).toMatchObject({ reason: "guest_reset" });
      guest.close();
      await reset;
      await expect(machine.start()).rejects.toMatchObject({ code: "vm.gone" });
    },
  );

  test(
    "an agent that ends is told at once, and the one that follows it has the same guest",
    LONG,
    async () => {
      await using machine = await host.clone();
      const guest = await host.startClone(machine);
      expect(await guest.count()).toBe(3);
      const ports: boolean[] = [];
      machine.onEvent((event) => event.type === "port" && ports.push(event.isOpen));
      await guest.endAgent();
      const count = () => guest.count().catch(() => undefined);
      await expect.poll(count, { timeout: 120_000, interval: 100 }).toBe(4);
      expect(ports).toEqual([false, true]);
      guest.close();
    },
  );

  test(
    "a guest whose writes find no room on the host stands still, and goes on when there is",
    LONG,
    async () => {
      await using small = await host.openSmallPlace();
      const disk = await host.newDisk(small.directory);
      await using machine = await host.clone(disk);
      const guest = await host.startClone(machine);
      await guest.writeDisk("a", "1");
      await small.fill();
      const standing = { type: "disk_error", code: "host.disk_full", isStanding: true };
      const refused = nextDiskError(machine);
      const writing = Promise.all(LARGE_KEYS.map((key) => guest.writeDisk(key, LARGE)));
      expect(await refused).toEqual(standing);
      const refusedAgain = nextDiskError(machine);
      await machine.start();
      expect(await refusedAgain).toEqual(standing);
      await small.free();
      await machine.start();
      await writing;
      expect(await guest.readDisk("a")).toBe("1");
      for (const key of LARGE_KEYS) expect(await guest.readDisk(key)).toBe(LARGE);
      guest.close();
    },
  );

  test("a guest whose disk fails on the host stands still, and can be ended", LONG, async ({ skip }) => {
    await using failing = await host.openFailingPlace();
    if (failing === undefined) return skip("this machine gives no loop device");
    const disk = await host.newDisk(failing.directory);
    await using machine = await host.clone(disk);
    const guest = await host.startClone(machine);
    await guest.writeDisk("a", "1");
    await failing.fail();
    const standing = { type: "disk_error", code: "host.disk_failed", isStanding: true };
    const refused = nextDiskError(machine);
    guest.writeDisk("b", "2").catch(() => {});
    expect(await refused).toEqual(standing);
    const refusedAgain = nextDiskError(machine);
    await machine.start();
    expect(await refusedAgain).toEqual(standing);
    await machine.kill();
    expect(await machine.exited).toMatchObject({ reason: "killed" });
    guest.close();
  });

  test("a launch given up by its caller leaves nothing", async () => {
    const disk = (await host.newDisk()).encrypted;
    const spec: LaunchSpec = { ...host.base(), disk, start: { kind: "template", template: host.template } };
    const reason = new Error("given up");
    await expect(host.hypervisor.launch({ ...spec, signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    await using machine = await host.hypervisor.launch(spec);
    expect(machine.record.machineId).toBe(spec.machineId);
  });
}
