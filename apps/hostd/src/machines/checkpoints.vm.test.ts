import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { LocalKeyStore } from "@atoll/keys/local-key-store";
import { DISK_LAYERS_FLATTEN } from "@atoll/protocol/limits";
import { afterAll, beforeAll, expect, test } from "vitest";
import { prepareGuest } from "../link/prepare-guest.ts";
import { rehearseGuest } from "../link/rehearse-guest.ts";
import { GuestProbe } from "../testing/guest-probe.ts";
import { LiveWorkspace } from "../testing/live-workspace.ts";
import { TEST_SIZE, VmTestHost } from "../testing/vm-test-host.ts";
import { LocalMachineSource } from "./local-machine-source.ts";
import type { MachineRequest } from "./machine-source.ts";

let host: VmTestHost;
let source: LocalMachineSource;
let keys: LocalKeyStore;
const faults: unknown[] = [];

beforeAll(async () => {
  host = await VmTestHost.open();
  keys = await LocalKeyStore.open({ directory: join(host.dataDirectory, "keys") });
  source = new LocalMachineSource({
    ...{ dataDirectory: host.dataDirectory, hypervisor: host.hypervisor(), keys, images: host.images },
    sharedTemplatesDirectory: host.sharedTemplatesDirectory,
    ...{ qemuImgCommand: host.vmm.qemuImgCommand, scratchDirectory: host.scratchDirectory },
    ...{ prepareGuest, rehearseGuest, warm: { image: "base", size: TEST_SIZE }, poolSize: 0 },
    onFault: (error) => faults.push(error),
  });
  await source.sweep(new Set());
});
afterAll(async () => {
  await source?.[Symbol.asyncDispose]();
  await host?.[Symbol.asyncDispose]();
  expect(faults).toEqual([]);
});

const newRequest = (): MachineRequest => ({
  ...{ workspaceId: randomUUID(), ownerId: randomUUID(), image: "base", size: TEST_SIZE },
});

const COUNTER =
  "setsid sh -c 'while :; do n=$((n+1)); echo $n >/dev/shm/ticks; sleep 0.1; done' >/dev/null 2>&1 & echo $!";
/** Waits for the very process to count on, and answers where it is. */
const countsOn = (pid: string) =>
  `kill -0 ${pid} && n=$(cat /dev/shm/ticks) && until [ $(cat /dev/shm/ticks) -gt $n ]; do sleep 0.05; done; cat /dev/shm/ticks`;

test("a checkpoint of a running machine brings back its files and its processes, and a view shows it", async () => {
  const workspace = await LiveWorkspace.create(source, newRequest());
  await workspace.guest.writeDisk("a", "old");
  const pid = await workspace.guest.shell(COUNTER);
  await workspace.guest.shell(countsOn(pid));
  const checkpointId = await workspace.checkpoint();
  await workspace.guest.writeDisk("a", "new");
  await workspace.guest.shell(`kill ${pid}; rm /dev/shm/ticks`);
  await workspace.stop();
  const { machine, linkToken } = await source.openView(workspace.owner, checkpointId);
  const viewer = await GuestProbe.start(machine, { reason: "create", expectedToken: linkToken });
  expect(await viewer.readView("a")).toBe("old");
  viewer.close();
  await machine.kill();
  await workspace.restore(checkpointId);
  await workspace.resumeCheckpoint(checkpointId);
  expect(await workspace.guest.readDisk("a")).toBe("old");
  // The very process that was killed after the checkpoint, still at it.
  const ticks = Number(await workspace.guest.shell(countsOn(pid)));
  expect(ticks).toBeGreaterThan(0);
  await workspace.stop();
  await workspace.destroy();
});

test("forks of a running machine run beside it, each with an identity of its own", async () => {
  const workspace = await LiveWorkspace.create(source, newRequest());
  await workspace.guest.writeDisk("a", "1");
  const point = await workspace.capture();
  expect(point.stoppedMs).toBeGreaterThan(0);
  const forks = await Promise.all([0, 1].map(() => workspace.fork(newRequest(), point)));
  await point[Symbol.asyncDispose]();
  const all = [workspace, ...forks];
  const facts = await Promise.all(
    all.map(({ guest }) => guest.shell("cat /etc/machine-id; head -c 16 /dev/urandom | od -An -tx1")),
  );
  for (const line of [0, 1]) expect(new Set(facts.map((text) => text.split("\n")[line])).size).toBe(3);
  for (const [index, { guest }] of all.entries()) {
    expect(await guest.readDisk("a")).toBe("1");
    await guest.writeDisk("a", `${index}`);
  }
  for (const [index, { guest }] of all.entries()) expect(await guest.readDisk("a")).toBe(`${index}`);
  await workspace.stop();
  await workspace.destroy();
  await forks[1]?.stop();
  // The origin is gone with its key; a fork of it still boots from the layers they shared.
  await forks[1]?.boot();
  expect(await forks[1]?.guest.readDisk("a")).toBe("2");
  for (const fork of forks) {
    await fork.stop();
    await fork.destroy();
  }
});

test("a disk of many layers is flattened while its guest runs, and boots whole", async () => {
  const workspace = await LiveWorkspace.create(source, newRequest());
  for (let index = 0; index < DISK_LAYERS_FLATTEN; index++) {
    await workspace.guest.writeDisk(`${index}`, `${index}`);
    await (await workspace.capture(false))[Symbol.asyncDispose]();
  }
  await source.flatten(workspace.request, workspace.disk, workspace.machine);
  expect((await source.listCheckpoints(workspace.owner)).usage.layerCount).toBe(1);
  await workspace.stop();
  await workspace.boot();
  for (const key of ["0", `${DISK_LAYERS_FLATTEN - 1}`])
    expect(await workspace.guest.readDisk(key)).toBe(key);
  await workspace.stop();
  await workspace.destroy();
});
