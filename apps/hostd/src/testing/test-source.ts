/** A LocalMachineSource over the fake hypervisor, in a data directory of its own that another life can go on with. */
import { randomBytes, randomUUID } from "node:crypto";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deferred } from "@atoll/base/deferred";
import { ManualClock } from "@atoll/base/manual-clock";
import { LocalKeyStore } from "@atoll/keys/local-key-store";
import { AtollError } from "@atoll/protocol/atoll-error";
import { FakeHypervisor, FakeMachineHost } from "../hypervisor/fake/fake-hypervisor.ts";
import type { Machine } from "../hypervisor/hypervisor.ts";
import { LocalMachineSource } from "../machines/local-machine-source.ts";
import type { LocalMachineSourceOptions } from "../machines/local-machine-source-options.ts";
import type { MachineRequest } from "../machines/machine-source.ts";
import { FAKE_QEMU_IMG } from "./fake-qemu-img.ts";
import { GuestProbe } from "./guest-probe.ts";

export const SIZE = { cpus: 1, memoryMb: 512, diskMb: 64 };
const IMAGE = { key: "image", kernelPath: "", initramfsPath: "", layerPaths: [], kernelArguments: "" };
export const TEMPLATE_TOKEN = "ab".repeat(32);

export interface TestSourceOptions {
  poolSize?: number;
  /** Whose data directory and host this life goes on with. */
  previous?: TestSource;
  fingerprint?: string;
  source?: Partial<LocalMachineSourceOptions>;
}

export class TestSource implements AsyncDisposable {
  readonly directory: string;
  readonly host: FakeMachineHost;
  readonly hypervisor: FakeHypervisor;
  readonly source: LocalMachineSource;
  readonly keys: LocalKeyStore;
  readonly clock = new ManualClock();
  readonly faults: unknown[] = [];
  readonly #faulted = deferred<unknown>();
  bakeCount = 0;

  private constructor(
    directory: string,
    host: FakeMachineHost,
    keys: LocalKeyStore,
    options: TestSourceOptions,
  ) {
    this.directory = directory;
    this.host = host;
    this.keys = keys;
    this.hypervisor = new FakeHypervisor(host, options.fingerprint ?? "fake 1");
    this.source = new LocalMachineSource({
      dataDirectory: directory,
      hypervisor: this.hypervisor,
      keys,
      images: {
        currentKeys: new Set([IMAGE.key]),
        byName: async (name) => {
          if (name !== "base") throw new AtollError("image.unknown");
          return IMAGE;
        },
        byKey: async () => IMAGE,
      },
      qemuImgCommand: FAKE_QEMU_IMG,
      scratchDirectory: join(directory, "scratch"),
      prepareGuest: (machine, { signal }) => this.prepareGuest(machine, signal),
      rehearseGuest: (machine, { expectedToken }) => this.rehearseGuest(machine, expectedToken),
      warm: { image: "base", size: SIZE },
      poolSize: options.poolSize ?? 0,
      ...options.source,
      onFault: (error) => {
        this.faults.push(error);
        this.#faulted.resolve(error);
      },
      clock: this.clock,
    });
  }

  /** Resolves with the first of `faults`. */
  get faulted(): Promise<unknown> {
    return this.#faulted.promise;
  }

  static async open(options: TestSourceOptions = {}): Promise<TestSource> {
    const directory = options.previous?.directory ?? (await mkdtemp(join(tmpdir(), "atoll-source-")));
    const host = options.previous?.host ?? new FakeMachineHost();
    const keys = await LocalKeyStore.open({ directory: join(directory, "keys") });
    return new TestSource(directory, host, keys, options);
  }

  prepareGuest = async (machine: Machine, _signal: AbortSignal): Promise<{ linkToken: string }> => {
    this.bakeCount++;
    const guest = await GuestProbe.start(machine, { reason: "boot", linkToken: TEMPLATE_TOKEN });
    await guest.count();
    guest.close();
    return { linkToken: TEMPLATE_TOKEN };
  };

  /** Counts once, so that a rehearsed guest is told apart. */
  rehearseGuest = async (machine: Machine, expectedToken: string): Promise<{ linkToken: string }> => {
    const linkToken = randomBytes(32).toString("hex");
    const guest = await GuestProbe.start(machine, { reason: "create", expectedToken, linkToken });
    await guest.count();
    guest.close();
    return { linkToken };
  };

  get workspaces(): Promise<string[]> {
    return readdir(join(this.directory, "workspaces"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.source[Symbol.asyncDispose]();
    await rm(this.directory, { recursive: true, force: true });
  }
}

export const newRequest = (): MachineRequest => ({
  workspaceId: randomUUID(),
  ownerId: randomUUID(),
  image: "base",
  size: SIZE,
});
