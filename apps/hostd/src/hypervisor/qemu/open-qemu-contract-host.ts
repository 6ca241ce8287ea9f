import { join } from "node:path";
import { FailingDisk } from "../../testing/failing-disk.ts";
import { SmallTmpfs } from "../../testing/small-tmpfs.ts";
import { TEST_SIZE, VmTestHost } from "../../testing/vm-test-host.ts";
import { ContractHost } from "../contract/contract-host.ts";

/** Real machines for the contract, and for what only this driver can be asked. Ends `vm` with itself. */
export async function openQemuContractHost(vm?: VmTestHost): Promise<ContractHost> {
  const host = vm ?? (await VmTestHost.open());
  const { sharedTemplatesDirectory: shared } = host;
  return ContractHost.open({
    open: () => host.hypervisor(),
    image: host.image,
    size: TEST_SIZE,
    directory: host.dataDirectory,
    // Apart from templates that are used as they are: this guest has counted.
    sharedTemplatesDirectory: shared === undefined ? undefined : join(shared, "contract"),
    qemuImgCommand: host.vmm.qemuImgCommand,
    scratchDirectory: host.scratchDirectory,
    openSmallPlace: () => SmallTmpfs.mount(join(host.memoryDirectory, "small")),
    openFailingPlace: () => FailingDisk.mount(join(host.memoryDirectory, "failing")),
    [Symbol.asyncDispose]: () => host[Symbol.asyncDispose](),
  });
}
