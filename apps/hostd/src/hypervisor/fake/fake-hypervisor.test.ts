import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { TORN_DISK } from "../../testing/fake-guest.ts";
import { FAKE_QEMU_IMG } from "../../testing/fake-qemu-img.ts";
import { GuestProbe } from "../../testing/guest-probe.ts";
import { ContractHost } from "../contract/contract-host.ts";
import { diskLayersContract } from "../contract/disk-layers.contract.ts";
import { machineLifeContract } from "../contract/machine-life.contract.ts";
import { savedMemoryContract } from "../contract/saved-memory.contract.ts";
import { collect, pieces } from "../contract/state-bytes.ts";
import type { DiskLayer, MachineStart } from "../hypervisor.ts";
import { FakeHypervisor, FakeMachineHost } from "./fake-hypervisor.ts";

async function fakeHost(): Promise<ContractHost> {
  const directory = await mkdtemp(join(tmpdir(), "atoll-fake-"));
  const host = new FakeMachineHost();
  return ContractHost.open({
    open: () => new FakeHypervisor(host),
    image: { key: "image", kernelPath: "", initramfsPath: "", layerPaths: [], kernelArguments: "" },
    size: { cpus: 1, memoryMb: 512, diskMb: 64 },
    directory,
    sharedTemplatesDirectory: undefined,
    qemuImgCommand: FAKE_QEMU_IMG,
    scratchDirectory: join(directory, "scratch"),
    openSmallPlace: async () => {
      const small = join(directory, "small");
      return {
        directory: small,
        fill: async () => void host.fullDirectories.add(small),
        free: async () => void host.fullDirectories.delete(small),
        [Symbol.asyncDispose]: async () => void host.fullDirectories.delete(small),
      };
    },
    openFailingPlace: async () => {
      const failing = join(directory, "failing");
      return {
        directory: failing,
        fail: async () => void host.failedDirectories.add(failing),
        [Symbol.asyncDispose]: async () => void host.failedDirectories.delete(failing),
      };
    },
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true }),
  });
}

describe("fake hypervisor", () => {
  machineLifeContract(fakeHost);
  savedMemoryContract(fakeHost);
  diskLayersContract(fakeHost);
});

const fake = async () => {
  const host = await fakeHost();
  const disk = await host.newDisk();
  const launch = (start: MachineStart) => host.launch(start, disk);
  return { disk, launch, [Symbol.asyncDispose]: () => host[Symbol.asyncDispose]() };
};

test("memory over a disk that went on without it shows as a torn disk", async () => {
  await using at = await fake();
  const linkToken = "cd".repeat(32);
  const machine = await at.launch({ kind: "boot" });
  const guest = await GuestProbe.start(machine, { reason: "boot", linkToken });
  await guest.writeDisk("a", "1");
  await machine.stop();
  const state = await collect(machine.saveState());
  await machine.start();
  await guest.writeDisk("a", "2");
  guest.close();
  await machine.kill();
  await using stale = await at.launch({ kind: "saved", template: undefined, state: pieces(state) });
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
