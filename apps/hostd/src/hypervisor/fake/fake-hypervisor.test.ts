import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe } from "vitest";
import { type ContractHost, hypervisorContract } from "../hypervisor.contract.ts";
import type { LaunchSpec, MachineStart } from "../hypervisor.ts";
import { FakeHypervisor, FakeMachineHost } from "./fake-hypervisor.ts";

async function fakeHost(): Promise<ContractHost> {
  const directory = await mkdtemp(join(tmpdir(), "atoll-fake-"));
  const host = new FakeMachineHost();
  const hypervisor = new FakeHypervisor(host);
  const spec = async (start: MachineStart, diskName: string): Promise<LaunchSpec> => {
    const path = join(directory, `${diskName}.disk`);
    await writeFile(path, "");
    return {
      machineId: diskName,
      image: { key: "image", kernelPath: "", initramfsPath: "", layerPaths: [], kernelArguments: "" },
      size: { cpus: 1, memoryMb: 512, diskMb: 2048 },
      disk: { kind: "raw", path },
      start,
    };
  };
  return {
    hypervisor,
    reopen: () => new FakeHypervisor(host),
    spec,
    async bake(prepare) {
      const template = {
        templateId: "template",
        ramPath: join(directory, "ram"),
        deviceStatePath: join(directory, "state"),
      };
      await using machine = await hypervisor.launch(
        await spec({ kind: "boot", templateRamPath: template.ramPath }, "bake"),
      );
      await prepare(machine);
      await machine.stop();
      await machine.saveTemplate(template.deviceStatePath);
      return template;
    },
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true }),
  };
}

describe("fake hypervisor", () => hypervisorContract(fakeHost));
