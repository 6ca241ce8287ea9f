import type {
  EncryptedDisk,
  Hypervisor,
  LaunchSpec,
  Machine,
  MachineRecord,
  UnpackedState,
  UnpackOptions,
} from "../hypervisor/hypervisor.ts";
import type { HostLease } from "./host-lease.ts";

/** Opens no disk and starts no machine for a host that lost its lease. */
export class LeasedHypervisor implements Hypervisor {
  readonly #hypervisor: Hypervisor;
  readonly #lease: Pick<HostLease, "check">;

  constructor(hypervisor: Hypervisor, lease: Pick<HostLease, "check">) {
    this.#hypervisor = hypervisor;
    this.#lease = lease;
  }

  get isolation(): Hypervisor["isolation"] {
    return this.#hypervisor.isolation;
  }

  get fingerprint(): string {
    return this.#hypervisor.fingerprint;
  }

  async launch(spec: LaunchSpec): Promise<Machine> {
    await this.#lease.check();
    const machine = await this.#hypervisor.launch(spec);
    try {
      // Launching takes a while, and only running it would write to its disk.
      await this.#lease.check();
      return machine;
    } catch (error) {
      await machine.kill();
      throw error;
    }
  }

  /** Changes no disk. */
  unpack(state: AsyncIterable<Uint8Array>, options: UnpackOptions): Promise<UnpackedState> {
    return this.#hypervisor.unpack(state, options);
  }

  joinStates(base: AsyncIterable<Uint8Array>, over: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
    return this.#hypervisor.joinStates(base, over);
  }

  async flattenDisk(disk: EncryptedDisk, signal?: AbortSignal): Promise<void> {
    await this.#lease.check();
    await this.#hypervisor.flattenDisk(disk, signal);
  }

  async adopt(record: MachineRecord): Promise<Machine | undefined> {
    await this.#lease.check();
    return this.#hypervisor.adopt(record);
  }

  letGo(): Promise<void> {
    return this.#hypervisor.letGo();
  }

  async reap(isSpared?: (machineId: string) => boolean): Promise<void> {
    await this.#lease.check();
    await this.#hypervisor.reap(isSpared);
  }
}
