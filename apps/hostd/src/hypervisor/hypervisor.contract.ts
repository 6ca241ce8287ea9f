/**
 * What both drivers must do, of a machine's life, its memory and its disk.
 * Length: the cases share one template, which costs a real driver a boot.
 */
import { randomBytes, randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { GuestProbe } from "../testing/guest-probe.ts";
import { ContractDisk, type ContractDisksOptions } from "./contract-disks.ts";
import type { Hypervisor, LaunchSpec, Machine, MachineStart, TemplateFiles } from "./hypervisor.ts";

export interface ContractHost extends AsyncDisposable {
  hypervisor: Hypervisor;
  /** Another life of hostd on the same machine. */
  reopen(): Hypervisor;
  /** All but disk and start, under a machine id of its own. */
  readonly base: () => Omit<LaunchSpec, "disk" | "start">;
  readonly disks: ContractDisksOptions;
  /** Boots, lets `prepare` bring the guest where clones shall begin, and saves. */
  bake(prepare: (machine: Machine) => Promise<void>): Promise<TemplateFiles>;
}

/** For cases that take a minute on real machines, on a host that does much else beside. */
const LONG = { timeout: 600_000 };
/** Cycles of the case that goes through all of a saved machine's life again and again. */
const CYCLES = 10;

/** A guest that counts up by one each time it is asked, in its memory only. Booting takes seconds on a real driver, so cases share a template. */
export function hypervisorContract(open: () => Promise<ContractHost>): void {
  const templateToken = randomBytes(32).toString("hex");
  let host: ContractHost;
  let template: TemplateFiles;

  beforeAll(async () => {
    host = await open();
    template = await host.bake(async (machine) => {
      const guest = await GuestProbe.start(machine, { reason: "boot", linkToken: templateToken });
      expect(await guest.count()).toBe(1);
      expect(await guest.count()).toBe(2);
      guest.close();
    });
  });
  afterAll(() => host?.[Symbol.asyncDispose]());

  const newDisk = () => ContractDisk.create(host.disks);
  const launch = (start: MachineStart, disk: ContractDisk, view?: ContractDisk) =>
    host.hypervisor.launch({
      ...host.base(),
      start,
      disk: disk.encrypted,
      ...(view === undefined ? {} : { view: view.encrypted }),
    });
  const clone = async (disk?: ContractDisk) =>
    launch({ kind: "template", template }, disk ?? (await newDisk()));
  /** What a disk's layers hold, seen by another guest through its view. */
  const look = async (origin: ContractDisk, layerCount: number, keys: string[]) => {
    const view = await ContractDisk.over(origin, origin.layers.slice(0, layerCount));
    await using machine = await launch({ kind: "template", template }, await newDisk(), view);
    const guest = await startClone(machine);
    const seen: (string | undefined)[] = [];
    for (const key of keys) seen.push(await guest.readView(key));
    guest.close();
    return seen;
  };
  /** Stops the quiesced guest and lets writes go to a new layer. */
  const stopAndSwitch = async (machine: Machine, disk: ContractDisk, guest: GuestProbe) => {
    await guest.quiesce();
    await machine.stop();
    const layer = await disk.newLayer();
    disk.layers.push(layer);
    await machine.switchLayer(layer);
  };
  const startClone = (machine: Machine, linkToken?: string) =>
    GuestProbe.start(machine, { reason: "create", expectedToken: templateToken, linkToken });

  test("clones of one template go on from it, each on its own", async () => {
    await using first = await clone();
    await using second = await clone();
    const guests = [await startClone(first), await startClone(second)] as const;
    expect([await guests[0].count(), await guests[0].count(), await guests[1].count()]).toEqual([3, 4, 3]);
    expect(first.record.pid).not.toBe(second.record.pid);
    expect(first.record.uid).not.toBe(second.record.uid);
    for (const guest of guests) guest.close();
  });

  test("a stopped machine goes on where it was", async () => {
    await using machine = await clone();
    const guest = await startClone(machine);
    expect(await guest.count()).toBe(3);
    await machine.stop();
    const answer = guest.count();
    await machine.start();
    expect(await answer).toBe(4);
    guest.close();
  });

  test("saved state over its template brings the guest back, more than once over", async () => {
    const linkToken = randomBytes(32).toString("hex");
    const disk = await newDisk();
    let machine = await clone(disk);
    const guest = await startClone(machine, linkToken);
    expect(await guest.count()).toBe(3);
    guest.close();
    for (const expected of [4, 5]) {
      await machine.stop();
      const state = await collect(machine.saveState());
      await machine.kill();
      const start: MachineStart = { kind: "saved", template, state: pieces(state) };
      machine = await launch(start, disk);
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
    const disk = await newDisk();
    await using source = await clone(disk);
    const state = await collect(source.saveState());
    await source.kill();
    const start: MachineStart = {
      kind: "saved",
      template,
      state: pieces(state.subarray(0, state.length - 3)),
    };
    await using machine = await launch(start, disk);
    await expect(machine.load()).rejects.toMatchObject({ code: "snapshot.invalid" });
    await machine.kill();
    expect(await machine.exited).toEqual({ reason: "killed", detail: "" });
  });

  test("a new connection replaces the one before", async () => {
    await using machine = await clone();
    const before = await machine.openLink();
    const closed = new Promise((resolve) => before.once("close", resolve));
    const guest = await startClone(machine);
    await closed;
    expect(await guest.count()).toBe(3);
    guest.close();
  });

  test("a machine outlives hostd: the next life adopts it and no other process", async () => {
    const linkToken = randomBytes(32).toString("hex");
    const disk = await newDisk();
    const machine = await clone(disk);
    const orphan = await clone();
    const guest = await startClone(machine, linkToken);
    expect(await guest.count()).toBe(3);
    await guest.writeDisk("before", "1");
    await stopAndSwitch(machine, disk, guest);
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
    await stopAndSwitch(adopted, disk, resumed);
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
    await using machine = await clone();
    const guest = await startClone(machine);
    await guest.shutDown();
    expect(await machine.exited).toMatchObject({ reason: "guest_halted" });
    guest.close();
    await expect(machine.start()).rejects.toMatchObject({ code: "vm.gone" });
  });

  test("a machine booted without a template can be saved as well", LONG, async () => {
    const linkToken = randomBytes(32).toString("hex");
    const disk = await newDisk();
    const machine = await launch({ kind: "boot" }, disk);
    const guest = await GuestProbe.start(machine, { reason: "boot", linkToken });
    expect(await guest.count()).toBe(1);
    guest.close();
    await machine.stop();
    const state = await collect(machine.saveState());
    await machine.kill();
    const start: MachineStart = { kind: "saved", template: undefined, state: pieces(state) };
    await using next = await launch(start, disk);
    const resumed = await GuestProbe.start(next, { reason: "resume", expectedToken: linkToken, linkToken });
    expect(await resumed.count()).toBe(2);
    resumed.close();
  });

  test("a launch given up by its caller leaves nothing", async () => {
    const disk = (await newDisk()).encrypted;
    const spec: LaunchSpec = { ...host.base(), disk, start: { kind: "template", template } };
    const reason = new Error("given up");
    await expect(host.hypervisor.launch({ ...spec, signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    await using machine = await host.hypervisor.launch(spec);
    expect(machine.record.machineId).toBe(spec.machineId);
  });

  test("after a switch writes go to the new layer, and what lies below stays as it was", async () => {
    const disk = await newDisk();
    await using machine = await clone(disk);
    const guest = await startClone(machine);
    await guest.writeDisk("a", "old");
    await guest.writeDisk("kept", "1");
    await stopAndSwitch(machine, disk, guest);
    const top = disk.layers[1];
    if (top === undefined) throw new Error("no layer was added");
    await machine.switchLayer(top);
    expect(await machine.topLayerId()).toBe(top.layerId);
    await machine.start();
    await guest.thaw();
    await guest.writeDisk("a", "new");
    expect([await guest.readDisk("a"), await guest.readDisk("kept")]).toEqual(["new", "1"]);
    expect(await guest.count()).toBe(3);
    // The layer below is free for others while this machine goes on.
    expect(await look(disk, 1, ["a", "kept"])).toEqual(["old", "1"]);
    guest.close();
    await machine.kill();
    expect(await look(disk, 2, ["a", "kept"])).toEqual(["new", "1"]);
  });

  test("a layer without a file is no new top, and the machine goes on", async () => {
    const disk = await newDisk();
    await using machine = await clone(disk);
    const guest = await startClone(machine);
    await guest.writeDisk("a", "1");
    await machine.stop();
    const [bottom] = disk.layers;
    const absent = { layerId: randomUUID(), key: randomBytes(32) };
    await expect(machine.switchLayer(absent)).rejects.toMatchObject({ code: "vm.monitor_failed" });
    expect(await machine.topLayerId()).toBe(bottom?.layerId);
    await machine.switchLayer(await disk.newLayer());
    await machine.start();
    expect(await guest.readDisk("a")).toBe("1");
    guest.close();
  });

  test(
    "state saved with every switch brings memory and disk back together, many times over",
    LONG,
    async () => {
      const linkToken = randomBytes(32).toString("hex");
      const disk = await newDisk();
      let machine = await clone(disk);
      let guest = await startClone(machine, linkToken);
      for (let cycle = 1; cycle <= CYCLES; cycle++) {
        expect(await guest.count()).toBe(2 + cycle);
        await guest.writeDisk("last", String(cycle));
        await guest.writeDisk(`at-${cycle}`, String(cycle));
        await stopAndSwitch(machine, disk, guest);
        const state = await collect(machine.saveState());
        if (cycle % 2 === 0) {
          await machine.start();
          await guest.thaw();
        } else {
          guest.close();
          await machine.kill();
          machine = await launch({ kind: "saved", template, state: pieces(state) }, disk);
          guest = await GuestProbe.start(machine, { reason: "resume", expectedToken: linkToken, linkToken });
        }
        expect([await guest.readDisk("last"), await guest.readDisk("at-1")]).toEqual([String(cycle), "1"]);
      }
      expect(await machine.topLayerId()).toBe(disk.layers.at(-1)?.layerId);
      guest.close();
      await machine.kill();
      expect(disk.layers).toHaveLength(1 + CYCLES);
      expect(await look(disk, 6, ["last", "at-5", "at-6", "at-7"])).toEqual(["6", "5", "6", undefined]);
    },
  );

  test(
    "one captured state over shared layers begins many machines, each with its own disk from there on",
    LONG,
    async () => {
      const linkToken = randomBytes(32).toString("hex");
      const disk = await newDisk();
      await using source = await clone(disk);
      const guest = await startClone(source, linkToken);
      await guest.writeDisk("who", "source");
      await stopAndSwitch(source, disk, guest);
      const state = await collect(source.saveState());
      await source.start();
      await guest.thaw();
      const forks = [
        await ContractDisk.over(disk, disk.layers.slice(0, 1)),
        await ContractDisk.over(disk, disk.layers.slice(0, 1)),
      ];
      await using stack = new AsyncDisposableStack();
      for (const [index, fork] of forks.entries()) {
        const machine = stack.use(await launch({ kind: "saved", template, state: pieces(state) }, fork));
        const start = { reason: "resume", expectedToken: linkToken } as const;
        const probe = await GuestProbe.start(machine, start);
        expect(await probe.readDisk("who")).toBe("source");
        await probe.writeDisk("who", `fork ${index}`);
        expect(await probe.readDisk("who")).toBe(`fork ${index}`);
        probe.close();
      }
      expect(await guest.readDisk("who")).toBe("source");
      guest.close();
      await stack.disposeAsync();
      for (const [index, fork] of forks.entries())
        expect(await look(fork, 2, ["who"])).toEqual([`fork ${index}`]);
      expect(await look(disk, 1, ["who"])).toEqual(["source"]);
    },
  );

  test(
    "flattening a running machine's disk leaves its content in the top alone, also after being cut off",
    LONG,
    async () => {
      const disk = await newDisk();
      await using machine = await clone(disk);
      const guest = await startClone(machine);
      for (const value of ["1", "2", "3"]) {
        await guest.writeDisk("last", value);
        await guest.writeDisk(`at-${value}`, value);
        await stopAndSwitch(machine, disk, guest);
        await machine.start();
        await guest.thaw();
      }
      const content = async () => [
        ...[await guest.readDisk("last"), await guest.readDisk("at-1"), await guest.readDisk("at-3")],
        await guest.readDisk("after"),
      ];
      const stopping = new AbortController();
      const reason = new Error("cut off");
      const cut = machine.flatten(stopping.signal);
      stopping.abort(reason);
      await expect(cut).rejects.toBe(reason);
      expect(await content()).toEqual(["3", "1", "3", undefined]);
      await guest.writeDisk("after", "4");
      await machine.flatten();
      await machine.flatten();
      expect(await machine.topLayerId()).toBe(disk.layers.at(-1)?.layerId);
      await disk.keepTop();
      expect(await content()).toEqual(["3", "1", "3", "4"]);
      guest.close();
      await machine.kill();
      expect(await look(disk, 1, ["last", "at-1", "at-2", "at-3", "after"])).toEqual([
        "3",
        "1",
        "2",
        "3",
        "4",
      ]);
    },
  );

  test("a disk nobody has open is flattened as well; one that a machine writes to is left alone", async () => {
    const disk = await newDisk();
    await using machine = await clone(disk);
    const guest = await startClone(machine);
    await guest.writeDisk("a", "1");
    await stopAndSwitch(machine, disk, guest);
    await machine.start();
    await guest.thaw();
    await guest.writeDisk("b", "2");
    guest.close();
    await expect(host.hypervisor.flattenDisk(disk.encrypted)).rejects.toMatchObject({
      code: "vm.start_failed",
    });
    await machine.kill();
    await expect(host.hypervisor.flattenDisk(disk.encrypted, AbortSignal.abort())).rejects.toThrow();
    await host.hypervisor.flattenDisk(disk.encrypted);
    await host.hypervisor.flattenDisk(disk.encrypted);
    await disk.keepTop();
    expect(await look(disk, 1, ["a", "b"])).toEqual(["1", "2"]);
  });

  test("what is written to a view stays in its own top", async () => {
    const disk = await newDisk();
    await using machine = await clone(disk);
    const guest = await startClone(machine);
    await guest.writeDisk("a", "disk");
    await stopAndSwitch(machine, disk, guest);
    guest.close();
    const view = await ContractDisk.over(disk, disk.layers.slice(0, 1));
    await using viewer = await launch({ kind: "template", template }, await newDisk(), view);
    const eye = await startClone(viewer);
    expect(await eye.readView("a")).toBe("disk");
    await eye.writeView("a", "view");
    expect([await eye.readView("a"), await eye.readDisk("a")]).toEqual(["view", undefined]);
    eye.close();
    await viewer.kill();
    expect(await look(disk, 1, ["a"])).toEqual(["disk"]);
    expect(await look(view, 2, ["a"])).toEqual(["view"]);
  });

  test("a disk has one writer: another machine over its top is refused, and the first goes on", async () => {
    const disk = await newDisk();
    await using machine = await clone(disk);
    const guest = await startClone(machine);
    await guest.writeDisk("a", "1");
    const second = async () => {
      await using other = await clone(disk);
      await other.load();
    };
    await expect(second()).rejects.toMatchObject({ code: "vm.start_failed" });
    const reading = async () => {
      await using other = await clone(await ContractDisk.over(disk, disk.layers));
      await other.load();
    };
    await expect(reading()).rejects.toMatchObject({ code: "vm.start_failed" });
    await guest.writeDisk("a", "2");
    await stopAndSwitch(machine, disk, guest);
    await machine.start();
    await guest.thaw();
    expect(await guest.readDisk("a")).toBe("2");
    guest.close();
  });

  test("changed memory is counted before it is saved", async () => {
    await using machine = await clone();
    await machine.load();
    const before = await machine.changedBytes();
    const guest = await startClone(machine);
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

async function collect(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts);
}

/** In sizes that fit no record. */
async function* pieces(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += 777_777) yield bytes.subarray(at, at + 777_777);
}
