import type { MachineStart } from "../hypervisor/hypervisor.ts";
import type { Template } from "../templates/template-store.ts";

/** From the kernel, over the RAM of the disk's template where that is of the machine's size. */
export function bootOver(
  template: Template,
  { memoryMb }: { memoryMb: number },
): Extract<MachineStart, { kind: "boot" }> {
  return { kind: "boot", template: template.size.memoryMb === memoryMb ? template : undefined };
}
