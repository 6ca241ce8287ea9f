/**
 * QEMU's command line for one machine. Devices, their order and their addresses are part of every template and
 * snapshot: any change here must change MACHINE_MODEL, or saved machines would be loaded into another shape.
 */
import type { MachineSize } from "@atoll/protocol/plans";
import { JAIL_RUN, jailPath } from "./jail.ts";

/** Names the shape below in fingerprints. */
export const MACHINE_MODEL = "q35-1";

export type Accelerator = "kvm" | "tcg";

export const QMP_SOCKET = "qmp.sock";
export const LINK_SOCKET = "link.sock";
export const KEY_FILE = "disk-key";
/** The guest finds its port by this name. */
export const LINK_PORT_NAME = "org.atoll.link";

/** Names of the files in the jail; see `jailPath`. */
export const FILE_NAMES = {
  kernel: "kernel",
  initramfs: "initramfs",
  ram: "ram",
  disk: "disk",
  backing: "backing",
} as const;
export const layerName = (index: number) => `layer${index}`;
/** Serials by which the guest tells its disks apart. */
const LAYER_SERIALS = ["base", "agent"] as const;

/**
 * Translated guest code, taken as it is filled. Unbounded it grows without end; with 64 a package install in the guest
 * thrashes and needs nearly twice the CPU.
 */
const TRANSLATION_CACHE_MB = 256;

export interface QemuArgumentOptions {
  qemuPath: string;
  accelerator: Accelerator;
  size: MachineSize;
  kernelArguments: string;
  layerCount: number;
  disk: "encrypted" | "raw";
  /** `shared`: written by this guest, to become a template. `private`: copy-on-write, the file is never changed. */
  ram: "shared" | "private";
  /** Wait for saved state instead of booting. */
  isIncoming: boolean;
}

export function qemuArguments(options: QemuArgumentOptions): [string, ...string[]] {
  const { accelerator, size } = options;
  const ramFile = jailPath(FILE_NAMES.ram);
  const ramMode = options.ram === "shared" ? "share=on" : "share=off,readonly=on,rom=off";
  return [
    options.qemuPath,
    ...["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-S"],
    ...["-name", "vm", "-msg", "timestamp=off"],
    ...["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"],
    // The saved form is the devices alone (see saved-state.ts), which comes without QEMU's configuration section.
    ...["-global", "migration.send-configuration=off"],
    ...[
      "-machine",
      "q35,memory-backend=ram,dump-guest-core=off,vmport=off,usb=off,sata=off,smbus=off,graphics=off,hpet=off,i8042=off",
    ],
    ...["-accel", accelerator === "kvm" ? "kvm" : `tcg,tb-size=${TRANSLATION_CACHE_MB}`],
    ...["-cpu", accelerator === "kvm" ? "host" : "max"],
    ...["-smp", `${size.cpus}`, "-m", `${size.memoryMb}M`],
    ...["-object", `memory-backend-file,id=ram,size=${size.memoryMb}M,mem-path=${ramFile},${ramMode}`],
    ...["-kernel", jailPath(FILE_NAMES.kernel), "-initrd", jailPath(FILE_NAMES.initramfs)],
    ...["-append", options.kernelArguments],
    ...["-chardev", `socket,id=qmp,path=${JAIL_RUN}/${QMP_SOCKET},server=on,wait=off`],
    ...["-mon", "chardev=qmp,mode=control"],
    ...device("virtio-serial-pci-non-transitional,max_ports=2", 1),
    ...["-chardev", `socket,id=link,path=${JAIL_RUN}/${LINK_SOCKET},server=on,wait=off`],
    ...["-device", `virtserialport,chardev=link,name=${LINK_PORT_NAME},nr=1`],
    ...["-object", "rng-random,id=rng,filename=/dev/urandom"],
    ...device("virtio-rng-pci-non-transitional,rng=rng", 2),
    // A restored guest sees another generation and reseeds by itself, before the agent is even asked.
    ...["-device", "vmgenid,guid=auto"],
    ...LAYER_SERIALS.slice(0, options.layerCount).flatMap((serial, index) => [
      ...["-blockdev", `driver=file,node-name=${serial},filename=${jailPath(layerName(index))},read-only=on`],
      ...device(`virtio-blk-pci-non-transitional,drive=${serial},serial=${serial}`, 3 + index),
    ]),
    ...diskArguments(options.disk),
    ...device("virtio-blk-pci-non-transitional,drive=disk,serial=disk,write-cache=on", 5),
    ...(options.isIncoming ? ["-incoming", "defer"] : []),
  ];
}

/** The whole graph is spelled out: no format is ever probed, no path is taken from a file's header. */
function diskArguments(kind: QemuArgumentOptions["disk"]): string[] {
  const disk = jailPath(FILE_NAMES.disk);
  if (kind === "raw") {
    return ["-blockdev", `driver=file,node-name=disk,filename=${disk},discard=unmap,detect-zeroes=off`];
  }
  const backing = jailPath(FILE_NAMES.backing);
  return [
    ...["-object", `secret,id=disk-key,file=${JAIL_RUN}/${KEY_FILE},format=raw`],
    ...["-blockdev", `driver=file,node-name=backing,filename=${backing},read-only=on`],
    ...["-blockdev", `driver=file,node-name=disk-file,filename=${disk},discard=unmap`],
    ...[
      "-blockdev",
      "driver=qcow2,node-name=disk,file=disk-file,backing=backing,discard=unmap,encrypt.format=luks,encrypt.key-secret=disk-key",
    ],
  ];
}

/** A fixed PCI slot, so that leaving one device out moves no other. */
function device(description: string, slot: number): string[] {
  return ["-device", `${description},bus=pcie.0,addr=${slot}`];
}
