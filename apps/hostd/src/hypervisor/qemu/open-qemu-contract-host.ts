import { randomBytes } from "node:crypto";
import { chmod, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { createDisk } from "../../disks/create-disk.ts";
import { formatDisk } from "../../disks/format-disk.ts";
import { TEST_SIZE, VmTestHost } from "../../testing/vm-test-host.ts";
import type { Seed } from "../contract-disks.ts";
import type { ContractHost } from "../hypervisor.contract.ts";

/** Real machines for the contract, and for what only this driver can be asked. */
export async function openQemuContractHost(): Promise<ContractHost & { vm: VmTestHost }> {
  const host = await VmTestHost.open();
  const hypervisor = host.hypervisor();
  const { dataDirectory, image } = host;
  const templateDirectory = join(dataDirectory, "template");
  const backingPath = join(templateDirectory, "disk.raw");
  await mkdir(templateDirectory, { mode: 0o700 });
  await formatDisk(backingPath, TEST_SIZE.diskMb);
  const seed = async (name: string): Promise<Seed> => {
    const made = { path: join(dataDirectory, name), key: new Uint8Array(randomBytes(32)) };
    await createDisk({
      ...made,
      qemuImgCommand: host.vmm.qemuImgCommand,
      sizeMb: TEST_SIZE.diskMb,
      scratchDirectory: host.scratchDirectory,
    });
    return made;
  };
  const seeds = [await seed("one.qcow2"), await seed("two.qcow2")] as [Seed, Seed];
  let launched = 0;
  const base = () => ({ machineId: `machine-${launched++}`, image, size: TEST_SIZE });
  return {
    vm: host,
    hypervisor,
    reopen: () => host.hypervisor(),
    base,
    disks: { directory: join(dataDirectory, "disks"), backingPath, seeds },
    async bake(prepare) {
      const template = {
        templateId: "template",
        ramPath: join(templateDirectory, "ram"),
        deviceStatePath: join(templateDirectory, "state"),
      };
      await using machine = await hypervisor.launch({
        ...base(),
        disk: { kind: "raw", path: backingPath },
        start: { kind: "boot", templateRamPath: template.ramPath },
      });
      await prepare(machine);
      await machine.stop();
      await machine.saveTemplate(template.deviceStatePath);
      await machine.kill();
      for (const path of [backingPath, template.ramPath]) await chmod(path, 0o444);
      return template;
    },
    [Symbol.asyncDispose]: () => host[Symbol.asyncDispose](),
  };
}
