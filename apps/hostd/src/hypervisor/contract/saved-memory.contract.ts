/** What both drivers must do, of memory that is saved, unpacked and brought back. Cases share a template: booting takes seconds. */
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { GuestProbe } from "../../testing/guest-probe.ts";
import type { Machine, MachineStart } from "../hypervisor.ts";
import type { ContractDisk } from "./contract-disk.ts";
import type { ContractHost } from "./contract-host.ts";
import { collect, pieces } from "./state-bytes.ts";

/** A boot and four machines. */
const LONG = { timeout: 180_000 };

export function savedMemoryContract(open: () => Promise<ContractHost>): void {
  let host: ContractHost;
  beforeAll(async () => {
    host = await open();
  });
  afterAll(() => host?.[Symbol.asyncDispose]());

  /** Of a machine without a template, whose guest has counted once. */
  async function savedAfterBoot(disk: ContractDisk, linkToken: string): Promise<Buffer> {
    await using machine = await host.launch({ kind: "boot" }, disk);
    const guest = await GuestProbe.start(machine, { reason: "boot", linkToken });
    expect(await guest.count()).toBe(1);
    guest.close();
    await machine.stop();
    // Awaited here: the machine ends when this returns.
    return await collect(machine.saveState());
  }

  test("saved state over its template brings the guest back, more than once over", async () => {
    const linkToken = randomBytes(32).toString("hex");
    const disk = await host.newDisk();
    let machine = await host.clone(disk);
    const guest = await host.startClone(machine, linkToken);
    expect(await guest.count()).toBe(3);
    guest.close();
    for (const expected of [4, 5]) {
      await machine.stop();
      const state = await collect(machine.saveState());
      await machine.kill();
      const start: MachineStart = { kind: "saved", template: host.template, state: pieces(state) };
      machine = await host.launch(start, disk);
      await machine.load();
      const resumed = await GuestProbe.start(machine, {
        reason: "resume",
        expectedToken: linkToken,
        linkToken,
      });
      expect(await resumed.count()).toBe(expected);
      resumed.close();
    }
    await machine.kill();
  });

  test("state that was cut short is an invalid snapshot, and the process can still be ended", async () => {
    const disk = await host.newDisk();
    await using source = await host.clone(disk);
    const state = await collect(source.saveState());
    await source.kill();
    const start: MachineStart = {
      kind: "saved",
      template: host.template,
      state: pieces(state.subarray(0, state.length - 3)),
    };
    await using machine = await host.launch(start, disk);
    await expect(machine.load()).rejects.toMatchObject({ code: "snapshot.invalid" });
    await machine.kill();
    expect(await machine.exited).toEqual({ reason: "killed", detail: "" });
  });

  test("a machine booted without a template can be saved as well", async () => {
    const linkToken = randomBytes(32).toString("hex");
    const disk = await host.newDisk();
    const state = await savedAfterBoot(disk, linkToken);
    const start: MachineStart = { kind: "saved", template: undefined, state: pieces(state) };
    await using next = await host.launch(start, disk);
    const resumed = await GuestProbe.start(next, { reason: "resume", expectedToken: linkToken, linkToken });
    expect(await resumed.count()).toBe(2);
    resumed.close();
  });

  test(
    "many begin from one unpacked state, each on its own; what one saves is whole, also after hostd's end",
    LONG,
    async () => {
      const linkToken = randomBytes(32).toString("hex");
      const state = await savedAfterBoot(await host.newDisk(), linkToken);
      const unpacked = await host.hypervisor.unpack(pieces(state), host.base().size.memoryMb);
      const disks = [await host.newDisk(), await host.newDisk()] as const;
      const resume = (machine: Machine) =>
        GuestProbe.start(machine, { reason: "create", expectedToken: linkToken, linkToken });
      const first = await host.launch({ kind: "unpacked", state: unpacked }, disks[0]);
      await using second = await host.launch({ kind: "unpacked", state: unpacked }, disks[1]);
      expect(first.record.templateId).toBeNull();
      const guests = [await resume(first), await resume(second)] as const;
      expect([await guests[0].count(), await guests[0].count(), await guests[1].count()]).toEqual([2, 3, 2]);
      for (const one of guests) one.close();

      await second.kill();
      await host.hypervisor.letGo();
      const next = host.reopen();
      const adopted = await next.adopt(first.record);
      await next.reap();
      if (adopted === undefined) throw new Error("the machine was not found again");
      await adopted.stop();
      const saved = await collect(adopted.saveState());
      expect(saved.length).toBeGreaterThanOrEqual(await adopted.changedBytes());
      await adopted.kill();
      const start: MachineStart = { kind: "saved", template: undefined, state: pieces(saved) };
      await using again = await host.launch(start, disks[0]);
      const last = await resume(again);
      expect(await last.count()).toBe(4);
      last.close();
    },
  );

  test("nobody begins from an unpacked state that was disposed of", async () => {
    await using machine = await host.clone();
    const state = pieces(await collect(machine.saveState()));
    const unpacked = await host.hypervisor.unpack(state, host.base().size.memoryMb);
    await unpacked[Symbol.asyncDispose]();
    const disk = await host.newDisk();
    await expect(host.launch({ kind: "unpacked", state: unpacked }, disk)).rejects.toMatchObject({
      code: "vm.start_failed",
    });
  });

  test("state that was cut short is unpacked by nobody", async () => {
    await using machine = await host.clone();
    const state = await collect(machine.saveState());
    const short = pieces(state.subarray(0, state.length - 3));
    await expect(host.hypervisor.unpack(short, host.base().size.memoryMb)).rejects.toMatchObject({
      code: "snapshot.invalid",
    });
  });

  test("changed memory is counted before it is saved", async () => {
    await using machine = await host.clone();
    await machine.load();
    const before = await machine.changedBytes();
    const guest = await host.startClone(machine);
    await guest.count();
    await machine.stop();
    await machine.ping();
    const bytes = await machine.changedBytes();
    const saved = (await collect(machine.saveState())).length;
    expect(bytes).toBeGreaterThanOrEqual(before);
    expect(saved).toBeGreaterThanOrEqual(bytes);
    expect(saved).toBeLessThan(bytes + 4 * 1024 * 1024);
    guest.close();
  });
}
