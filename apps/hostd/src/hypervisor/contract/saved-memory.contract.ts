/** What both drivers must do, of memory that is saved, unpacked and brought back. Cases share a template: booting takes seconds. */
import { randomBytes, randomUUID } from "node:crypto";
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

  const linkToken = randomBytes(32).toString("hex");
  let saved: Promise<Buffer> | undefined;

  /** Of a machine without a template, whose guest has counted once. */
  function booted(): Promise<Buffer> {
    saved ??= host.newDisk().then(savedAfterBoot);
    return saved;
  }

  async function savedAfterBoot(disk: ContractDisk): Promise<Buffer> {
    await using machine = await host.launch({ kind: "boot" }, disk);
    const guest = await GuestProbe.start(machine, { reason: "boot", linkToken });
    expect(await guest.count()).toBe(1);
    guest.close();
    await machine.stop();
    // Awaited here: the machine ends when this returns.
    return await collect(machine.saveState());
  }

  const unpacking = () => ({ baseId: randomUUID(), memoryMb: host.base().size.memoryMb });

  function begin(machine: Machine): Promise<GuestProbe> {
    return GuestProbe.start(machine, { reason: "create", expectedToken: linkToken, linkToken });
  }

  /** In a machine that was saved after its guest took the token. */
  function resume(machine: Machine): Promise<GuestProbe> {
    return GuestProbe.start(machine, { reason: "resume", expectedToken: linkToken, linkToken });
  }

  test("saved state over its template brings the guest back, more than once over", async () => {
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
      const resumed = await resume(machine);
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
    const disk = await host.newDisk();
    const state = await savedAfterBoot(disk);
    const start: MachineStart = { kind: "saved", template: undefined, state: pieces(state) };
    await using next = await host.launch(start, disk);
    const resumed = await resume(next);
    expect(await resumed.count()).toBe(2);
    resumed.close();
  });

  test(
    "a machine that booted over a template saves its difference to that, also after hostd's end",
    LONG,
    async () => {
      const disk = await host.newDisk();
      const { template } = host;
      const first = await host.launch({ kind: "boot", template }, disk);
      expect(first.record).toMatchObject({ templateId: template.templateId, isBooted: true });
      const guest = await GuestProbe.start(first, { reason: "boot", linkToken });
      expect(await guest.count()).toBe(1);
      guest.close();
      await host.hypervisor.letGo();
      const next = host.reopen();
      let machine = await next.adopt(first.record);
      await next.reap();
      for (const expected of [2, 3]) {
        if (machine === undefined) throw new Error("the machine was not found again");
        await machine.stop();
        const changedBytes = await machine.changedBytes();
        const state = await collect(machine.saveState());
        expect(state.length).toBeLessThan(changedBytes + 4 * 1024 * 1024);
        await machine.kill();
        machine = await host.launch({ kind: "saved", template, state: pieces(state) }, disk);
        expect(machine.record).toMatchObject({ templateId: template.templateId, isBooted: false });
        const again = await resume(machine);
        expect(await again.count()).toBe(expected);
        again.close();
      }
      await machine?.kill();
    },
  );

  test(
    "many begin from one unpacked state, each on its own; what one saves is whole, also after hostd's end",
    LONG,
    async () => {
      const unpacked = await host.hypervisor.unpack(pieces(await booted()), unpacking());
      const disks = [await host.newDisk(), await host.newDisk()] as const;
      const first = await host.launch({ kind: "unpacked", state: unpacked }, disks[0]);
      await using second = await host.launch({ kind: "unpacked", state: unpacked }, disks[1]);
      expect(first.record).toMatchObject({ templateId: null, baseId: unpacked.baseId });
      const guests = [await begin(first), await begin(second)] as const;
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
      const last = await begin(again);
      expect(await last.count()).toBe(4);
      last.close();
    },
  );

  test(
    "a difference to an unpacked state loads over that again, and joined with it over nothing",
    LONG,
    async () => {
      const { hypervisor } = host;
      const whole = await booted();
      const disk = await host.newDisk();
      /** Counts once more in it, then saves what differs from what it stands on. */
      async function difference(machine: Machine, expected: number): Promise<Buffer> {
        const guest = await begin(machine);
        expect(await guest.count()).toBe(expected);
        guest.close();
        await machine.stop();
        const saved = await collect(machine.saveState({ isOverBase: true }));
        const bytes = await machine.changedBytes({ isOverBase: true });
        expect(bytes).toBeLessThanOrEqual(await machine.changedBytes());
        expect(saved.length).toBeGreaterThanOrEqual(bytes);
        expect(saved.length).toBeLessThan(bytes + 4 * 1024 * 1024);
        await machine.kill();
        return saved;
      }
      const unpacked = await hypervisor.unpack(pieces(whole), unpacking());
      const first = await host.launch({ kind: "unpacked", state: unpacked }, disk);
      let saved = await difference(first, 2);
      const other = await hypervisor.unpack(pieces(whole), { ...unpacking(), baseId: unpacked.baseId });
      await unpacked[Symbol.asyncDispose]();
      for (const expected of [3, 4]) {
        const start: MachineStart = { kind: "saved", template: undefined, base: other, state: pieces(saved) };
        const machine = await host.launch(start, disk);
        expect(machine.record.baseId).toBe(other.baseId);
        saved = await difference(machine, expected);
      }
      await other[Symbol.asyncDispose]();

      const joined = await collect(hypervisor.joinStates(pieces(whole), pieces(saved)));
      const start: MachineStart = { kind: "saved", template: undefined, state: pieces(joined) };
      await using last = await host.launch(start, disk);
      expect(last.record.baseId).toBeNull();
      const guest = await begin(last);
      expect(await guest.count()).toBe(5);
      guest.close();
      const short = hypervisor.joinStates(pieces(whole), pieces(saved.subarray(0, 10)));
      await expect(collect(short)).rejects.toMatchObject({ code: "snapshot.invalid" });
    },
  );

  test("nobody begins from an unpacked state that was disposed of", async () => {
    await using machine = await host.clone();
    const state = pieces(await collect(machine.saveState()));
    const unpacked = await host.hypervisor.unpack(state, unpacking());
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
    await expect(host.hypervisor.unpack(short, unpacking())).rejects.toMatchObject({
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
