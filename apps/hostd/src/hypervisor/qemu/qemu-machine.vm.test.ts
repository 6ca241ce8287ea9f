import { readdir, readFile, readlink, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { GuestProbe } from "../../testing/guest-probe.ts";
import { SmallTmpfs } from "../../testing/small-tmpfs.ts";
import { VmTestHost } from "../../testing/vm-test-host.ts";
import type { ContractHost } from "../contract/contract-host.ts";
import type { Hypervisor } from "../hypervisor.ts";
import { findJailed } from "./find-jailed.ts";
import { openQemuContractHost } from "./open-qemu-contract-host.ts";
import { isAlive } from "./process-identity.ts";

let vm: VmTestHost;
let host: ContractHost;

beforeAll(async () => {
  vm = await VmTestHost.open();
  host = await openQemuContractHost(vm);
});
afterAll(() => host?.[Symbol.asyncDispose]());

/** What a process has open below a directory, as `path mode`. */
async function openFiles(pid: number, directory: string): Promise<string[]> {
  const found: string[] = [];
  for (const fd of await readdir(`/proc/${pid}/fd`)) {
    const path = await readlink(`/proc/${pid}/fd/${fd}`).catch(() => "");
    if (!path.startsWith(directory)) continue;
    const flags = /^flags:\s+([0-7]+)/m.exec(await readFile(`/proc/${pid}/fdinfo/${fd}`, "utf8"))?.[1];
    const isWritable = (Number.parseInt(flags ?? "0", 8) & 3) !== 0;
    found.push(`${path.slice(directory.length + 1)} ${isWritable ? "writable" : "read-only"}`);
  }
  return found.sort();
}

test("a frozen layer is given up for writing, by its owner and by the process that wrote it, and no key is left", async () => {
  const disk = await host.newDisk();
  await using machine = await host.clone(disk);
  await machine.load();
  const { pid, uid, runDirectory } = machine.record;
  const [bottom] = disk.layers.map(({ layerId }) => `${layerId}.qcow2`) as [string];
  const inJail = "/files/layers";
  expect(await openFiles(pid, inJail)).toEqual([`${bottom} writable`]);
  expect((await stat(join(disk.directory, bottom))).uid).toBe(uid);
  await machine.switchLayer(await disk.addLayer());
  const top = `${disk.layers[1]?.layerId}.qcow2`;
  expect(await openFiles(pid, inJail)).toEqual([`${bottom} read-only`, `${top} writable`].sort());
  const [lower, upper] = [await stat(join(disk.directory, bottom)), await stat(join(disk.directory, top))];
  expect([lower.uid, lower.mode & 0o777, upper.uid, upper.mode & 0o777]).toEqual([0, 0o444, uid, 0o600]);
  expect((await readdir(runDirectory)).filter((name) => name.includes("key"))).toEqual([]);
  await machine.flatten();
  expect(await openFiles(pid, inJail)).toEqual([`${top} writable`]);
});

test("a process that was stopped from outside is noticed in time, and still ends", async () => {
  const disk = await host.newDisk();
  await using machine = await host.clone(disk);
  await machine.load();
  await machine.ping();
  process.kill(machine.record.pid, "SIGSTOP");
  await expect(machine.ping()).rejects.toMatchObject({ code: "vm.monitor_failed" });
  await machine.kill();
  expect(await machine.exited).toEqual({ reason: "killed", detail: "" });
  await expect(machine.ping()).rejects.toMatchObject({ code: "vm.gone" });
});

test("processes of a life that ended while it started them are found by their jail, others are left alone", async () => {
  const [disk, other] = [await host.newDisk(), await host.newDisk()];
  const orphan = await host.clone(disk);
  const kept = await host.clone(other);
  await host.hypervisor.letGo();
  const next = host.reopen();
  await using adopted = await next.adopt(kept.record);
  // The handle of the life before has no power over what is another's now.
  await kept.kill();
  expect((await findJailed([orphan.record.runDirectory])).map(({ pid }) => pid)).toContain(orphan.record.pid);
  await next.reap();
  expect([isAlive(orphan.record), isAlive(kept.record)]).toEqual([false, true]);
  expect(await findJailed([orphan.record.runDirectory])).toEqual([]);
  await adopted?.ping();
});

const unpacking = () => ({ baseId: "base", memoryMb: host.base().size.memoryMb });

test("what was unpacked lies in memory once, entered by nobody else, and goes with the last machine or the next life", async () => {
  const left = () => readdir(vm.unpackedRoot);
  const unpack = async (hypervisor: Hypervisor) => {
    await using machine = await host.clone();
    // Awaited here: the machine ends when this returns.
    return await hypervisor.unpack(machine.saveState(), unpacking());
  };
  const state = await unpack(host.hypervisor);
  const disks = [await host.newDisk(), await host.newDisk()] as const;
  const first = await host.launch({ kind: "unpacked", state }, disks[0]);
  const second = await host.launch({ kind: "unpacked", state }, disks[1]);
  const files = await Promise.all([first, second].map(({ record }) => stat(record.baseRamPath)));
  expect(new Set(files.map(({ ino, nlink, mode }) => `${ino} ${nlink} ${mode & 0o777}`)).size).toBe(1);
  expect(files[0]).toMatchObject({ nlink: 3 });
  const places = [vm.unpackedRoot, ...(await left()).map((name) => join(vm.unpackedRoot, name))];
  for (const place of places) expect((await stat(place)).mode & 0o777).toBe(0o700);
  await state[Symbol.asyncDispose]();
  await first.kill();
  expect(await left()).toEqual([second.record.machineId]);
  await second.kill();
  expect(await left()).toEqual([]);

  await unpack(host.hypervisor);
  const next = host.reopen();
  const own = await unpack(next);
  expect((await left()).length).toBe(2);
  await next.reap();
  expect((await left()).length).toBe(1);
  await own[Symbol.asyncDispose]();
  expect(await left()).toEqual([]);
});

test("nothing is unpacked into memory-backed space that it would fill", async () => {
  await rm(vm.unpackedRoot, { recursive: true, force: true });
  await using small = await SmallTmpfs.mount(vm.unpackedRoot);
  const state: AsyncIterable<Uint8Array> = {
    [Symbol.asyncIterator]() {
      throw new Error("read all the same");
    },
  };
  const refused = host.hypervisor.unpack(state, unpacking());
  await expect(refused).rejects.toMatchObject({ code: "host.full" });
  expect(await readdir(small.directory)).toEqual([]);
});

test("flattening offline that is given up leaves no process and no key", async () => {
  const disk = await host.newDisk();
  {
    await using machine = await host.clone(disk);
    const guest = await host.startClone(machine);
    // Enough that the copy takes a while.
    await guest.shell("head -c 120000000 /dev/urandom >$HOME/big && sync");
    await guest.writeDisk("a", "1");
    await machine.stop();
    await machine.switchLayer(await disk.addLayer());
    guest.close();
  }
  const runRoot = join(vm.memoryDirectory, "run");
  const stopping = new AbortController();
  const reason = new Error("given up");
  const flattening = host.hypervisor.flattenDisk(disk.encrypted, stopping.signal);
  flattening.catch(() => {});
  const topPath = join(disk.directory, `${disk.layers[1]?.layerId}.qcow2`);
  const emptyBlocks = (await stat(topPath)).blocks;
  // Cut off in the middle of copying, as the file shows.
  await expect
    .poll(async () => (await stat(topPath)).blocks, { timeout: 60_000, interval: 20 })
    .toBeGreaterThan(emptyBlocks + 20_000);
  stopping.abort(reason);
  await expect(flattening).rejects.toBe(reason);
  expect((await readdir(runRoot)).filter((name) => name.startsWith("flatten"))).toEqual([]);
  await host.hypervisor.flattenDisk(disk.encrypted);
  await disk.keepTop();
  expect(await host.look(disk, 1, ["a"])).toEqual(["1"]);
});

/** Pieces of half the size each until nothing fits, then bytes. */
const FILL = `i=4096; while [ $i -ge 1 ]; do
  while fallocate -l "$i"M "$HOME/fill.$i.$(date +%N)" 2>/dev/null; do :; done; i=$((i/2)); done
  cat /dev/zero >$HOME/fill.last 2>/dev/null; sync`;

/** For the user, without what is kept for the system. */
const FREE = "df --output=avail $HOME | tail -1";

test("a disk that its user filled starts, and files on it can be deleted", { timeout: 400_000 }, async () => {
  const disk = await host.newDisk();
  {
    await using machine = await host.clone(disk);
    const guest = await host.startClone(machine);
    await guest.shell(FILL);
    expect(await guest.shell(FREE)).toBe("0");
    guest.close();
  }
  await using machine = await host.launch({ kind: "boot" }, disk);
  const guest = await GuestProbe.start(machine, { reason: "boot" });
  expect(await guest.shell(FREE)).toBe("0");
  await guest.shell("rm $HOME/fill.*; sync");
  await guest.writeDisk("after", "1");
  expect(await guest.readDisk("after")).toBe("1");
  guest.close();
});
