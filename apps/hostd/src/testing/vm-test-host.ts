import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { MachineSize } from "@atoll/protocol/plans";
import { PLANS } from "@atoll/protocol/plans";
import type { ImageFiles } from "../hypervisor/hypervisor.ts";
import { QemuHypervisor } from "../hypervisor/qemu/qemu-hypervisor.ts";
import { BuiltImages, type BuiltVmm, readBuiltVmm } from "../images/built-images.ts";
import type { ImageSource } from "../machines/image-source.ts";

export const TEST_SIZE: MachineSize = {
  cpus: PLANS.free.cpus,
  memoryMb: PLANS.free.memoryMb,
  diskMb: PLANS.free.diskMb,
};

const UIDS = 256;

/** What was built, and empty directories, for tests on real machines. Disposing ends every machine started in it. */
export class VmTestHost implements AsyncDisposable {
  readonly vmm: BuiltVmm;
  readonly images: ImageSource;
  readonly image: ImageFiles;
  readonly dataDirectory: string;
  readonly memoryDirectory: string;

  private constructor(vmm: BuiltVmm, images: ImageSource, image: ImageFiles, data: string, memory: string) {
    this.vmm = vmm;
    this.images = images;
    this.image = image;
    this.dataDirectory = data;
    this.memoryDirectory = memory;
  }

  static async open(): Promise<VmTestHost> {
    const cacheDirectory = process.env.ATOLL_CACHE ?? resolve(import.meta.dirname, "../../../../.data/cache");
    const vmm = await readBuiltVmm(cacheDirectory);
    const built = await BuiltImages.open({ cacheDirectory, names: ["base"] });
    const images = built.filesFor("emulated");
    const data = await mkdtemp(join(tmpdir(), "atoll-vm-test-"));
    const memory = `/dev/shm/atoll-test-${randomBytes(6).toString("hex")}`;
    await mkdir(memory, { mode: 0o700 });
    return new VmTestHost(vmm, images, await images.byName("base"), data, memory);
  }

  /** Of a whole test run: a bake takes a core for a quarter of a minute. */
  get sharedTemplatesDirectory(): string | undefined {
    return process.env.ATOLL_SHARED_TEMPLATES;
  }

  /** What is unpacked for many. */
  get unpackedRoot(): string {
    return join(this.memoryDirectory, "unpacked");
  }

  get scratchDirectory(): string {
    return join(this.memoryDirectory, "scratch");
  }

  /** Each call is another life of hostd over the same machines. */
  hypervisor(): QemuHypervisor {
    return new QemuHypervisor({
      vmmRoot: this.vmm.root,
      qemuPath: this.vmm.qemuPath,
      vmmKey: this.vmm.key,
      accelerator: "tcg",
      runRoot: join(this.memoryDirectory, "run"),
      emptyRamDirectory: join(this.dataDirectory, "empty-ram"),
      unpackedRoot: this.unpackedRoot,
      // Of its own for each test process, so that two that start a machine at once do not pick the same.
      uids: { first: 230_000 + Number(process.env.VITEST_POOL_ID ?? 0) * UIDS, count: UIDS },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.hypervisor().reap();
    await rm(this.memoryDirectory, { recursive: true, force: true });
    await rm(this.dataDirectory, { recursive: true, force: true });
  }
}
