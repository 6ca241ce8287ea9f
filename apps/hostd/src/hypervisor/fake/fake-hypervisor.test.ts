import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { TORN_DISK } from "../../testing/fake-guest.ts";
import { GuestProbe } from "../../testing/guest-probe.ts";
import { ContractDisk } from "../contract-disks.ts";
import { type ContractHost, hypervisorContract } from "../hypervisor.contract.ts";
import type { DiskLayer, MachineStart } from "../hypervisor.ts";
import { FakeHypervisor, FakeMachineHost } from "./fake-hypervisor.ts";

async function fakeHost(): Promise<ContractHost> {
  const directory = await mkdtemp(join(tmpdir(), "atoll-fake-"));
  const host = new FakeMachineHost();
  const hypervisor = new FakeHypervisor(host);
  const backingPath = join(directory, "disk.raw");
  const seedPath = join(directory, "seed.qcow2");
  await writeFile(backingPath, "");
  await writeFile(seedPath, "");
  const seeds = [
    { path: seedPath, key: randomBytes(32) },
    { path: seedPath, key: randomBytes(32) },
  ] as const;
  let launched = 0;
  const base = () => ({
    machineId: `machine-${launched++}`,
    image: { key: "image", kernelPath: "", initramfsPath: "", layerPaths: [], kernelArguments: "" },
    size: { cpus: 1, memoryMb: 512, diskMb: 2048 },
  });
  return {
    hypervisor,
    reopen: () => new FakeHypervisor(host),
    base,
    disks: { directory: join(directory, "disks"), backingPath, seeds: [...seeds] },
    async bake(prepare) {
      const template = {
        templateId: "template",
        ramPath: join(directory, "ram"),
        deviceStatePath: join(directory, "state"),
      };
      await using machine = await hypervisor.launch({
        ...base(),
        disk: { kind: "raw", path: backingPath },
        start: { kind: "boot", templateRamPath: template.ramPath },
      });
      await prepare(machine);
      await machine.stop();
      await machine.saveTemplate(template.deviceStatePath);
      return template;
    },
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true }),
  };
}

describe("fake hypervisor", () => hypervisorContract(fakeHost));

const fake = async () => {
  const host = await fakeHost();
  const disk = await ContractDisk.create(host.disks);
  const launch = (start: MachineStart) =>
    host.hypervisor.launch({ ...host.base(), disk: disk.encrypted, start });
  return { host, disk, launch, [Symbol.asyncDispose]: () => host[Symbol.asyncDispose]() };
};

test("memory over a disk that went on without it shows as a torn disk", async () => {
  await using at = await fake();
  const linkToken = "cd".repeat(32);
  const machine = await at.launch({ kind: "boot" });
  const guest = await GuestProbe.start(machine, { reason: "boot", linkToken });
  await guest.writeDisk("a", "1");
  await machine.stop();
  const state: Uint8Array[] = [];
  for await (const part of machine.saveState()) state.push(part);
  await machine.start();
  await guest.writeDisk("a", "2");
  guest.close();
  await machine.kill();
  const saved = (async function* () {
    yield* state;
  })();
  await using stale = await at.launch({ kind: "saved", template: undefined, state: saved });
  const resumed = await GuestProbe.start(stale, { reason: "resume", expectedToken: linkToken });
  expect(await resumed.readDisk("a")).toBe(TORN_DISK);
  resumed.close();
});

test("a layer under another key, and one that is no layer, are no disk", async () => {
  await using at = await fake();
  const machine = await at.launch({ kind: "boot" });
  const guest = await GuestProbe.start(machine, { reason: "boot" });
  await guest.writeDisk("a", "1");
  guest.close();
  await machine.kill();
  const [layer] = at.disk.layers as [DiskLayer];
  layer.key.fill(1);
  await expect(at.launch({ kind: "boot" })).rejects.toMatchObject({ code: "vm.start_failed" });
  await writeFile(join(at.disk.directory, `${layer.layerId}.qcow2`), "{damaged");
  await expect(at.launch({ kind: "boot" })).rejects.toMatchObject({ code: "vm.start_failed" });
});
