import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { LocalKeyStore } from "@atoll/keys/local-key-store";
import { prepareGuest } from "../link/prepare-guest.ts";
import { rehearseGuest } from "../link/rehearse-guest.ts";
import { LocalMachineSource } from "../machines/local-machine-source.ts";
import type { MachineRequest } from "../machines/machine-source.ts";
import { TEST_SIZE, VmTestHost } from "./vm-test-host.ts";

/** A MachineSource of real machines, without a pool. */
export class VmTestSource implements AsyncDisposable {
  readonly host: VmTestHost;
  readonly keys: LocalKeyStore;
  readonly source: LocalMachineSource;
  readonly #faults: unknown[] = [];

  private constructor(host: VmTestHost, keys: LocalKeyStore) {
    this.host = host;
    this.keys = keys;
    this.source = this.another();
  }

  static async open(): Promise<VmTestSource> {
    const host = await VmTestHost.open();
    const keys = await LocalKeyStore.open({ directory: join(host.dataDirectory, "keys") });
    const opened = new VmTestSource(host, keys);
    await opened.source.sweep(new Set());
    return opened;
  }

  /** Of another life of hostd on the same data; the caller's to dispose of. */
  another(): LocalMachineSource {
    const { host, keys } = this;
    return new LocalMachineSource({
      dataDirectory: host.dataDirectory,
      sharedTemplatesDirectory: host.sharedTemplatesDirectory,
      hypervisor: host.hypervisor(),
      keys,
      images: host.images,
      qemuImgCommand: host.vmm.qemuImgCommand,
      scratchDirectory: host.scratchDirectory,
      prepareGuest,
      rehearseGuest,
      warm: { image: "base", size: TEST_SIZE },
      poolSize: 0,
      onFault: (error) => this.#faults.push(error),
    });
  }

  /** Of somebody new. */
  newRequest(): MachineRequest {
    return { workspaceId: randomUUID(), ownerId: randomUUID(), image: "base", size: TEST_SIZE };
  }

  /** @throws AggregateError when something went wrong that no caller was told of */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.source[Symbol.asyncDispose]();
    await this.host[Symbol.asyncDispose]();
    if (this.#faults.length > 0) throw new AggregateError(this.#faults, "faults in the background");
  }
}
