import { createHash } from "node:crypto";
import { mkdir, rmdir } from "node:fs/promises";
import { join } from "node:path";
import type { Scope } from "@atoll/base/scope";
import { openKeyStore } from "@atoll/keys/open-key-store";
import { PLANS } from "@atoll/protocol/plans";
import type { Logger } from "pino";
import { type HostdEnv, keyStoreChoice } from "./env.ts";
import type { Hypervisor } from "./hypervisor/hypervisor.ts";
import { chooseAccelerator } from "./hypervisor/qemu/choose-accelerator.ts";
import { QemuHypervisor } from "./hypervisor/qemu/qemu-hypervisor.ts";
import { BuiltImages, readBuiltVmm } from "./images/built-images.ts";
import type { HostLease } from "./lease/host-lease.ts";
import { LeasedHypervisor } from "./lease/leased-hypervisor.ts";
import { prepareGuest } from "./link/prepare-guest.ts";
import { rehearseGuest } from "./link/rehearse-guest.ts";
import { LocalMachineSource } from "./machines/local-machine-source.ts";
import type { LocalMachineSourceOptions } from "./machines/local-machine-source-options.ts";
import { refuseEmulationInPublic } from "./refuse-emulation-in-public.ts";

/** User ids that machines run under; the driver skips any that a process of this host has. */
const MACHINE_UIDS = { first: 210_000, count: 4096 };

export interface MachineHost {
  hypervisor: Hypervisor;
  images: BuiltImages;
  source: LocalMachineSource;
  /** For people: monitor and version. */
  vmm: string;
}

interface Held {
  scope: Scope;
  lease: Pick<HostLease, "check">;
}

/** Everything that makes machines on this host. @throws AtollError host.emulation_refused, image.unknown */
export async function openMachineHost(
  env: HostdEnv,
  logger: Logger,
  { scope, lease, mayWait, isStarting }: Held & Pick<LocalMachineSourceOptions, "isStarting" | "mayWait">,
): Promise<MachineHost> {
  const vmm = await readBuiltVmm(env.ATOLL_CACHE);
  // Paths of Unix sockets are at most 107 bytes long, so not below the data directory.
  const place = createHash("sha256").update(env.ATOLL_DATA).digest("hex").slice(0, 12);
  const memoryBacked = join("/dev/shm", `atoll-${place}`);
  const runRoot = join(memoryBacked, "run");
  const unpackedRoot = join(memoryBacked, "unpacked");
  const scratchDirectory = join(memoryBacked, "scratch");
  const emptyRamDirectory = join(env.ATOLL_DATA, "empty-ram");
  const places = [scratchDirectory, unpackedRoot, runRoot];
  for (const path of places) await mkdir(path, { recursive: true, mode: 0o700 });
  // Goes with us, unless machines that could not be paused still live in it.
  scope.defer(async () => {
    for (const path of [...places, memoryBacked]) await rmdir(path).catch(() => {});
  });
  await mkdir(emptyRamDirectory, { recursive: true, mode: 0o700 });
  const images = await BuiltImages.open({ cacheDirectory: env.ATOLL_CACHE, names: env.ATOLL_IMAGES });
  const [warmImage = "base"] = env.ATOLL_IMAGES;
  const accelerator = await chooseAccelerator({
    qemuCommand: vmm.qemuCommand,
    vmmKey: vmm.key,
    kernelPath: images.require(warmImage).kernelPath,
    // Of this machine, not of these data: where KVM hangs, asking takes eight seconds.
    cachePath: join(env.ATOLL_CACHE, "kvm-probe.json"),
    onUnusable: (reason) => logger.info({ reason }, "KVM is not used"),
  });
  const hypervisor = new LeasedHypervisor(
    new QemuHypervisor({
      vmmRoot: vmm.root,
      qemuPath: vmm.qemuPath,
      vmmKey: vmm.key,
      accelerator,
      runRoot,
      emptyRamDirectory,
      unpackedRoot,
      uids: MACHINE_UIDS,
    }),
    lease,
  );
  const { isolation } = hypervisor;
  if (isolation === "emulated") {
    refuseEmulationInPublic(env);
    logger.warn(
      { isolation },
      "machines are emulated: no security boundary between this host and its guests",
    );
  }
  const source = scope.own(
    new LocalMachineSource({
      dataDirectory: env.ATOLL_DATA,
      sharedTemplatesDirectory: env.ATOLL_SHARED_TEMPLATES,
      hypervisor,
      keys: await openKeyStore(join(env.ATOLL_DATA, "keys"), keyStoreChoice(env)),
      images: images.filesFor(isolation),
      qemuImgCommand: vmm.qemuImgCommand,
      scratchDirectory,
      checkLease: () => lease.check(),
      prepareGuest,
      rehearseGuest,
      warm: { image: warmImage, size: PLANS.free },
      poolSize: env.ATOLL_POOL_SIZE,
      ...(mayWait && { mayWait }),
      ...(isStarting && { isStarting }),
      onFault: (error) => logger.error({ err: error }, "background work on machines failed"),
    }),
  );
  return { hypervisor, images, source, vmm: `QEMU ${vmm.version}` };
}
