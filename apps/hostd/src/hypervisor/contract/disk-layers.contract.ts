/**
 * What both drivers must do with a disk of layers, while machines write to it and when they are gone.
 * Length: one case per promise, and the steps of each in the order they happen.
 */
import { randomBytes, randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { GuestProbe } from "../../testing/guest-probe.ts";
import type { DiskLayer } from "../hypervisor.ts";
import { ContractDisk } from "./contract-disk.ts";
import type { ContractHost } from "./contract-host.ts";
import { collect, late, pieces } from "./state-bytes.ts";

/** For cases that take a minute on real machines, on a host that does much else beside. */
const LONG = { timeout: 600_000 };
/** Cycles of the case that goes through all of a saved machine's life again and again. */
const CYCLES = 10;

export function diskLayersContract(open: () => Promise<ContractHost>): void {
  let host: ContractHost;
  beforeAll(async () => {
    host = await open();
  });
  afterAll(() => host?.[Symbol.asyncDispose]());

  test("after a switch writes go to the new layer, and what lies below stays as it was", async () => {
    const disk = await host.newDisk();
    await using machine = await host.clone(disk);
    const guest = await host.startClone(machine);
    await guest.writeDisk("a", "old");
    await guest.writeDisk("kept", "1");
    for (let times = 0; times < 2; times++) await machine.readyLayer(await disk.newLayer());
    const top = await disk.addLayer();
    for (let times = 0; times < 2; times++) await machine.readyLayer(top);
    await guest.writeDisk("kept", "1");
    await guest.quiesce();
    await machine.stop();
    for (let times = 0; times < 2; times++) await machine.switchLayer(top);
    expect(await machine.topLayerId()).toBe(top.layerId);
    await machine.start();
    await guest.thaw();
    await guest.writeDisk("a", "new");
    expect([await guest.readDisk("a"), await guest.readDisk("kept")]).toEqual(["new", "1"]);
    expect(await guest.count()).toBe(3);
    // The layer below is free for others while this machine goes on.
    expect(await host.look(disk, 1, ["a", "kept"])).toEqual(["old", "1"]);
    guest.close();
    await machine.kill();
    expect(await host.look(disk, 2, ["a", "kept"])).toEqual(["new", "1"]);
  });

  test("a layer without a file is no new top, and the machine goes on", async () => {
    const disk = await host.newDisk();
    await using machine = await host.clone(disk);
    const guest = await host.startClone(machine);
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
      const disk = await host.newDisk();
      let machine = await host.clone(disk);
      let guest = await host.startClone(machine, linkToken);
      for (let cycle = 1; cycle <= CYCLES; cycle++) {
        expect(await guest.count()).toBe(2 + cycle);
        await guest.writeDisk("last", String(cycle));
        await guest.writeDisk(`at-${cycle}`, String(cycle));
        await disk.stopAndSwitch(machine, guest);
        const state = await collect(machine.saveState());
        if (cycle % 2 === 0) {
          await machine.start();
          await guest.thaw();
        } else {
          guest.close();
          await machine.kill();
          machine = await host.launch({ kind: "saved", template: host.template, state: pieces(state) }, disk);
          guest = await GuestProbe.start(machine, { reason: "resume", expectedToken: linkToken, linkToken });
        }
        expect([await guest.readDisk("last"), await guest.readDisk("at-1")]).toEqual([String(cycle), "1"]);
      }
      expect(await machine.topLayerId()).toBe(disk.layers.at(-1)?.layerId);
      guest.close();
      await machine.kill();
      expect(disk.layers).toHaveLength(1 + CYCLES);
      expect(await host.look(disk, 6, ["last", "at-5", "at-6", "at-7"])).toEqual(["6", "5", "6", undefined]);
    },
  );

  test(
    "one captured state over shared layers begins many machines, each with its own disk from there on",
    LONG,
    async () => {
      const linkToken = randomBytes(32).toString("hex");
      const disk = await host.newDisk();
      await using source = await host.clone(disk);
      const guest = await host.startClone(source, linkToken);
      await guest.writeDisk("who", "source");
      await disk.stopAndSwitch(source, guest);
      const state = await collect(source.saveState());
      await source.start();
      await guest.thaw();
      const forks = [
        await ContractDisk.over(disk, disk.layers.slice(0, 1)),
        await ContractDisk.over(disk, disk.layers.slice(0, 1)),
      ];
      await using stack = new AsyncDisposableStack();
      for (const [index, fork] of forks.entries()) {
        const machine = stack.use(
          await host.launch({ kind: "saved", template: host.template, state: pieces(state) }, fork),
        );
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
        expect(await host.look(fork, 2, ["who"])).toEqual([`fork ${index}`]);
      expect(await host.look(disk, 1, ["who"])).toEqual(["source"]);
    },
  );

  test("a machine that waits for its state takes the layer that was frozen meanwhile", LONG, async () => {
    const linkToken = randomBytes(32).toString("hex");
    const disk = await host.newDisk();
    await using source = await host.clone(disk);
    const guest = await host.startClone(source, linkToken);
    for (const round of [0, 1]) {
      await guest.writeDisk("round", String(round));
      const top = disk.layers.at(-1);
      if (top === undefined) throw new Error("no layer");
      const fork = await ContractDisk.over(disk, disk.layers.slice(0, -1));
      const state = Promise.withResolvers<Buffer>();
      await using machine = await host.launch(
        { kind: "saved", template: host.template, state: late(state.promise) },
        fork,
      );
      await fork.take(disk, top);
      await disk.stopAndSwitch(source, guest);
      state.resolve(await collect(source.saveState()));
      await source.start();
      await guest.thaw();
      await guest.writeDisk("round", "later");
      await machine.insertLayers([top]);
      await machine.load();
      await expect(machine.insertLayers([top])).rejects.toMatchObject({ code: "vm.start_failed" });
      const probe = await GuestProbe.start(machine, { reason: "resume", expectedToken: linkToken });
      expect(await probe.readDisk("round")).toBe(String(round));
      await probe.writeDisk("round", "fork");
      expect(await probe.readDisk("round")).toBe("fork");
      probe.close();
      await machine.kill();
      expect(await host.look(fork, fork.layers.length, ["round"])).toEqual(["fork"]);
    }
    expect(await guest.readDisk("round")).toBe("later");
    guest.close();
  });

  test("a layer that is written by another, or has no file, is no layer to wait for", async () => {
    const disk = await host.newDisk();
    await using source = await host.clone(disk);
    const guest = await host.startClone(source);
    await source.stop();
    const state = await collect(source.saveState());
    const [top] = disk.layers;
    if (top === undefined) throw new Error("no layer");
    const load = async (layer: DiskLayer, take: boolean) => {
      const fork = await ContractDisk.over(disk, []);
      await using machine = await host.launch(
        { kind: "saved", template: host.template, state: pieces(state) },
        fork,
      );
      if (take) await fork.take(disk, layer);
      await machine.insertLayers([layer]);
      await machine.load();
    };
    await expect(load(top, true)).rejects.toMatchObject({ code: "vm.start_failed" });
    const absent = { layerId: randomUUID(), key: randomBytes(32) };
    await expect(load(absent, false)).rejects.toMatchObject({ code: "vm.start_failed" });
    await source.start();
    await guest.writeDisk("a", "1");
    expect(await guest.readDisk("a")).toBe("1");
    guest.close();
  });

  test(
    "flattening a running machine's disk leaves its content in the top alone, also after being cut off",
    LONG,
    async () => {
      const disk = await host.newDisk();
      await using machine = await host.clone(disk);
      const guest = await host.startClone(machine);
      for (const value of ["1", "2", "3"]) {
        await guest.writeDisk("last", value);
        await guest.writeDisk(`at-${value}`, value);
        await disk.stopAndSwitch(machine, guest);
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
      // It goes on as one that was never flattened: the layer is frozen under another, and so on.
      for (const value of ["4", "5"]) {
        await disk.stopAndSwitch(machine, guest);
        await machine.start();
        await guest.thaw();
        await guest.writeDisk("after", value);
      }
      guest.close();
      await machine.kill();
      expect(await host.look(disk, disk.layers.length, ["last", "at-1", "at-2", "at-3", "after"])).toEqual([
        "3",
        "1",
        "2",
        "3",
        "5",
      ]);
    },
  );

  test("a disk nobody has open is flattened as well; one that a machine writes to is left alone", async () => {
    const disk = await host.newDisk();
    await using machine = await host.clone(disk);
    const guest = await host.startClone(machine);
    await guest.writeDisk("a", "1");
    await disk.stopAndSwitch(machine, guest);
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
    expect(await host.look(disk, 1, ["a", "b"])).toEqual(["1", "2"]);
  });

  test("what is written to a view stays in its own top", async () => {
    const disk = await host.newDisk();
    await using machine = await host.clone(disk);
    const guest = await host.startClone(machine);
    await guest.writeDisk("a", "disk");
    await disk.stopAndSwitch(machine, guest);
    guest.close();
    const view = await ContractDisk.over(disk, disk.layers.slice(0, 1));
    await using viewer = await host.clone(undefined, view);
    const eye = await host.startClone(viewer);
    expect(await eye.readView("a")).toBe("disk");
    await eye.writeView("a", "view");
    expect([await eye.readView("a"), await eye.readDisk("a")]).toEqual(["view", undefined]);
    eye.close();
    await viewer.kill();
    expect(await host.look(disk, 1, ["a"])).toEqual(["disk"]);
    expect(await host.look(view, 2, ["a"])).toEqual(["view"]);
  });

  test("a disk has one writer: another machine over its top is refused, and the first goes on", async () => {
    const disk = await host.newDisk();
    await using machine = await host.clone(disk);
    const guest = await host.startClone(machine);
    await guest.writeDisk("a", "1");
    const second = async () => {
      await using other = await host.clone(disk);
      await other.load();
    };
    await expect(second()).rejects.toMatchObject({ code: "vm.start_failed" });
    const reading = async () => {
      await using other = await host.clone(await ContractDisk.over(disk, disk.layers));
      await other.load();
    };
    await expect(reading()).rejects.toMatchObject({ code: "vm.start_failed" });
    await guest.writeDisk("a", "2");
    await disk.stopAndSwitch(machine, guest);
    await machine.start();
    await guest.thaw();
    expect(await guest.readDisk("a")).toBe("2");
    guest.close();
  });
}
