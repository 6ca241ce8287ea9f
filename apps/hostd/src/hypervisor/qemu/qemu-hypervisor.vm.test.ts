import { randomBytes } from "node:crypto";
import { access, chmod, copyFile, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { describe } from "vitest";
import { createDisk } from "../../disks/create-disk.ts";
import { formatDisk } from "../../disks/format-disk.ts";
import { TEST_SIZE, VmTestHost } from "../../testing/vm-test-host.ts";
import { type ContractHost, hypervisorContract } from "../hypervisor.contract.ts";
import type { LaunchSpec, MachineStart } from "../hypervisor.ts";

const KEY = randomBytes(32);

async function qemuHost(): Promise<ContractHost> {
  const host = await VmTestHost.open();
  const hypervisor = host.hypervisor();
  const { dataDirectory, image } = host;
  const templateDirectory = join(dataDirectory, "template");
  const backingPath = join(templateDirectory, "disk.raw");
  const blankPath = join(dataDirectory, "blank.qcow2");
  let launched = 0;
  await mkdir(templateDirectory, { mode: 0o700 });
  await formatDisk(backingPath, TEST_SIZE.diskMb);
  await createDisk({
    qemuImgCommand: host.vmm.qemuImgCommand,
    path: blankPath,
    sizeMb: TEST_SIZE.diskMb,
    key: KEY,
    scratchDirectory: host.scratchDirectory,
  });
  const spec = async (start: MachineStart, diskName: string): Promise<LaunchSpec> => {
    const path = join(dataDirectory, `${diskName}.qcow2`);
    await access(path).catch(() => copyFile(blankPath, path));
    const machineId = `${diskName}-${launched++}`;
    return {
      machineId,
      image,
      size: TEST_SIZE,
      disk: { kind: "encrypted", path, key: KEY, backingPath },
      start,
    };
  };
  return {
    hypervisor,
    reopen: () => host.hypervisor(),
    spec,
    async bake(prepare) {
      const template = {
        templateId: "template",
        ramPath: join(templateDirectory, "ram"),
        deviceStatePath: join(templateDirectory, "state"),
      };
      await using machine = await hypervisor.launch({
        ...(await spec({ kind: "boot", templateRamPath: template.ramPath }, "bake")),
        disk: { kind: "raw", path: backingPath },
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

describe("qemu hypervisor", () => hypervisorContract(qemuHost));
