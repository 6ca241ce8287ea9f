import { DISK_LAYERS_FLATTEN } from "@atoll/protocol/limits";
import { afterAll, beforeAll, expect, test } from "vitest";
import { GuestProbe } from "../testing/guest-probe.ts";
import { LiveWorkspace } from "../testing/live-workspace.ts";
import { VmTestSource } from "../testing/vm-test-source.ts";
import type { LocalMachineSource } from "./local-machine-source.ts";

let opened: VmTestSource;
let source: LocalMachineSource;

beforeAll(async () => {
  opened = await VmTestSource.open();
  source = opened.source;
});
afterAll(() => opened?.[Symbol.asyncDispose]());

const COUNTER =
  "setsid sh -c 'while :; do n=$((n+1)); echo $n >/dev/shm/ticks; sleep 0.1; done' >/dev/null 2>&1 & echo $!";
/** Waits for the very process to count on, and answers where it is. */
const countsOn = (pid: string) =>
  `kill -0 ${pid} && n=$(cat /dev/shm/ticks) && until [ $(cat /dev/shm/ticks) -gt $n ]; do sleep 0.05; done; cat /dev/shm/ticks`;

test("a checkpoint of a running machine brings back its files and its processes, and a view shows it", async () => {
  const workspace = await LiveWorkspace.create(source, opened.newRequest());
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
  const workspace = await LiveWorkspace.create(source, opened.newRequest());
  await workspace.guest.writeDisk("a", "1");
  const requests = [opened.newRequest(), opened.newRequest()] as const;
  await (await workspace.capture(false))[Symbol.asyncDispose]();
  const prepared = workspace.prepareFork(requests[1]);
  const point = await workspace.capture();
  expect(point.stoppedMs).toBeGreaterThan(0);
  const forks = await Promise.all([
    workspace.fork(requests[0], point),
    workspace.fork(requests[1], point, prepared),
  ]);
  await point[Symbol.asyncDispose]();
  await prepared[Symbol.asyncDispose]();
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
  const workspace = await LiveWorkspace.create(source, opened.newRequest());
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
