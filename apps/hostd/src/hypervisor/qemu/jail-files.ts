/** What a machine's jail shows of its disks and of what it begins from. */
import type { EncryptedDisk, MachineStart } from "../hypervisor.ts";
import { devicesPathOf } from "./base-ram.ts";
import type { ChainName } from "./block-nodes.ts";
import type { JailFile } from "./jail.ts";
import { CHAIN_FILES } from "./qemu-arguments.ts";
import { TEMPLATE_STATE_NAME } from "./qemu-machine.ts";

export function chainFiles(chain: ChainName, disk: EncryptedDisk): JailFile[] {
  const { layers, backing } = CHAIN_FILES[chain];
  return [
    // Writable as a mount: what the machine's uid may write there is a matter of the files' owners (layer-files.ts).
    { source: disk.directory, name: layers, isWritable: true },
    readOnly(disk.backingPath, backing),
  ];
}

/** What is loaded from a file; a saved state's devices come with its stream. */
export function devicesOf(start: MachineStart): JailFile[] {
  if (start.kind === "template") return [readOnly(start.template.deviceStatePath, TEMPLATE_STATE_NAME)];
  return start.kind === "unpacked" ? [readOnly(devicesPathOf(start.state), TEMPLATE_STATE_NAME)] : [];
}

export function readOnly(source: string, name: string): JailFile {
  return { source, name, isWritable: false };
}
