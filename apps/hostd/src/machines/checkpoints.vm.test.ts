import { randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
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

test("a checkpoint of a running machine brings back its files and its processes, forks run beside it, and views show it", async () => {
  const workspace = await LiveWorkspace.create(source, newRequest());
  await workspace.guest.writeDisk("a", "old");
  const pid = await workspace.guest.shell(COUNTER);
  await workspace.guest.shell(countsOn(pid));
  const checkpointId = await workspace.checkpoint();
  const ticksThen = Number(await workspace.guest.shell("cat /dev/shm/ticks"));
  await workspace.guest.writeDisk("a", "new");
  await workspace.guest.shell(`kill ${pid}; rm /dev/shm/ticks`);

  await using point = await workspace.capture();
  expect(point.stoppedMs).toBeGreaterThan(0);
  const forks = await Promise.all([0, 1].map(() => workspace.fork(newRequest(), point)));
  const all = [workspace, ...forks];
  const facts = await Promise.all(
    all.map(({ guest }) => guest.shell("cat /etc/machine-id; head -c 16 /dev/urandom | od -An -tx1")),
  );
  expect(new Set(facts).size).toBe(3);
  expect(new Set(facts.map((text) => text.split("\n")[0])).size).toBe(3);
  for (const [index, fork] of forks.entries()) {
    expect(await fork.guest.readDisk("a")).toBe("new");
    await fork.guest.writeDisk("a", `fork ${index}`);
  }
  for (const [index, fork] of forks.entries()) expect(await fork.guest.readDisk("a")).toBe(`fork ${index}`);
  expect(await workspace.guest.readDisk("a")).toBe("new");
  for (const fork of forks) await fork.stop();

  const { machine, linkToken } = await source.openView(workspace.owner, checkpointId);
  const viewer = await GuestProbe.start(machine, { reason: "create", expectedToken: linkToken });
  expect(await viewer.readView("a")).toBe("old");
  viewer.close();
  await machine.kill();

  await workspace.stop();
  await workspace.restore(checkpointId);
  await workspace.resumeCheckpoint(checkpointId);
  expect(await workspace.guest.readDisk("a")).toBe("old");
  expect(Number(await workspace.guest.shell(countsOn(pid)))).toBeGreaterThanOrEqual(ticksThen);

  // Without any memory, and after everything it came from is gone.
  await workspace.guest.writeDisk("a", "last");
  await workspace.stop();
  const still = await workspace.capture(false);
  const created = await source.createFrom({ ...newRequest(), size: TEST_SIZE }, still);
  await still[Symbol.asyncDispose]();
  await workspace.destroy();
  const fork = await LiveWorkspace.begin(source, newRequest(), created);
  expect(created.startsBy).toBe("boot");
  expect(await fork.guest.readDisk("a")).toBe("last");
  await fork.stop();
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
  await rm(join(host.dataDirectory, "workspaces", workspace.disk.diskId), { recursive: true });
});
