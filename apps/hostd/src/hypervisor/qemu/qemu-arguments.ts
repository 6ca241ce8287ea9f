/**
 * QEMU's command line for one machine. Devices, their order and their addresses are part of every template and
 * snapshot: any change here must change MACHINE_MODEL, or saved machines would be loaded into another shape.
 */
import type { MachineSize } from "@atoll/protocol/plans";
import { backingNode, type ChainName, layerNodes } from "./block-nodes.ts";
import { JAIL_RUN, jailPath } from "./jail.ts";
import { layerFileName } from "./layer-files.ts";

/** Names the shape below in fingerprints. */
export const MACHINE_MODEL = "q35-3";

export type Accelerator = "kvm" | "tcg";

export const QMP_SOCKET = "qmp.sock";
export const LINK_SOCKET = "link.sock";
/** The guest finds its port by this name. */
export const LINK_PORT_NAME = "org.atoll.link";

/** Names of the files in the jail; see `jailPath`. */
export const FILE_NAMES = {
  kernel: "kernel",
  initramfs: "initramfs",
  ram: "ram",
  disk: "disk",
  backing: "backing",
  layers: "layers",
  viewBacking: "view-backing",
  viewLayers: "view-layers",
} as const;
/** In the jail: the directory of a chain's layers, and the template's disk below them. */
export const CHAIN_FILES = {
  d: { layers: FILE_NAMES.layers, backing: FILE_NAMES.backing },
  v: { layers: FILE_NAMES.viewLayers, backing: FILE_NAMES.viewBacking },
} as const;
/** Device id of the user's disk, by which its node is found and events name it. */
export const DISK_DEVICE = "disk";
const VIEW_DEVICE = "view";
/** Device id of the agent's port: events name it. No id is part of what a machine saves. */
export const LINK_DEVICE = "link";
/**
 * What the host's disk refuses to write waits, with the whole guest, until it is tried again: a guest told of it would
 * mount its disk read-only, though there may be room in a minute. A place that cannot be read is the guest's to hear of.
 */
const DISK_ERRORS = "werror=stop,rerror=report";
/** What a machine writes that only looks is thrown away, and it had better go on showing what can be read. */
const VIEW_ERRORS = "werror=report,rerror=report";
export const layerName = (index: number) => `layer${index}`;
/** Serials by which the guest tells its disks apart. */
const LAYER_SERIALS = ["base", "agent"] as const;
/** The size every guest sees of a disk it may look into, whatever lies behind it: clones share their template's devices. */
const VIEW_BYTES = 128 * 1024 ** 3;

/**
 * Translated guest code, taken as it is filled. Unbounded it grows without end; with 64 a package install in the guest
 * thrashes and needs nearly twice the CPU.
 */
const TRANSLATION_CACHE_MB = 256;

/**
 * Everything QEMU can emulate except what only looks fast: `rep movsb` is copied byte by byte (erms, fsrm), a fifth level
 * of page tables is walked at every miss (la57), guarding the kernel against its users' memory costs at each system call
 * and guards nobody where each user is root of a machine of their own (smap), and the rest is only more to save.
 */
export const EMULATED_CPU = "max,erms=off,fsrm=off,la57=off,smap=off,mpx=off,pku=off,svm=off";

const SANDBOX = ["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"];
const MONITOR = [
  ...["-chardev", `socket,id=qmp,path=${JAIL_RUN}/${QMP_SOCKET},server=on,wait=off`],
  ...["-mon", "chardev=qmp,mode=control"],
];

export interface QemuArgumentOptions {
  qemuPath: string;
  accelerator: Accelerator;
  size: MachineSize;
  kernelArguments: string;
  layerCount: number;
  /** Ids of the layers, bottom first. */
  disk: readonly string[] | "raw";
  view: readonly string[] | "empty";
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
    ...SANDBOX,
    // The saved form is the devices alone (see saved-state.ts), which comes without QEMU's configuration section.
    ...["-global", "migration.send-configuration=off"],
    ...[
      "-machine",
      "q35,memory-backend=ram,dump-guest-core=off,vmport=off,usb=off,sata=off,smbus=off,graphics=off,hpet=off,i8042=off",
    ],
    ...["-accel", accelerator === "kvm" ? "kvm" : `tcg,tb-size=${TRANSLATION_CACHE_MB}`],
    ...["-cpu", accelerator === "kvm" ? "host" : EMULATED_CPU],
    ...["-smp", `${size.cpus}`, "-m", `${size.memoryMb}M`],
    ...["-object", `memory-backend-file,id=ram,size=${size.memoryMb}M,mem-path=${ramFile},${ramMode}`],
    ...["-kernel", jailPath(FILE_NAMES.kernel), "-initrd", jailPath(FILE_NAMES.initramfs)],
    ...["-append", options.kernelArguments],
    ...MONITOR,
    ...device("virtio-serial-pci-non-transitional,max_ports=2", 1),
    ...["-chardev", `socket,id=link,path=${JAIL_RUN}/${LINK_SOCKET},server=on,wait=off`],
    ...["-device", `virtserialport,chardev=link,name=${LINK_PORT_NAME},nr=1,id=${LINK_DEVICE}`],
    ...["-object", "rng-random,id=rng,filename=/dev/urandom"],
    ...device("virtio-rng-pci-non-transitional,rng=rng", 2),
    // A restored guest sees another generation and reseeds by itself, before the agent is even asked.
    ...["-device", "vmgenid,guid=auto"],
    ...LAYER_SERIALS.slice(0, options.layerCount).flatMap((serial, index) => [
      ...["-blockdev", `driver=file,node-name=${serial},filename=${jailPath(layerName(index))},read-only=on`],
      ...device(`virtio-blk-pci-non-transitional,drive=${serial},serial=${serial}`, 3 + index),
    ]),
    ...(options.disk === "raw" ? rawDiskArguments() : chainArguments("d", options.disk)),
    ...(options.view === "empty" ? emptyViewArguments() : chainArguments("v", options.view)),
    ...blockDevice(
      DISK_DEVICE,
      options.disk === "raw" ? "disk" : topOf("d", options.disk),
      options.view === "empty" ? DISK_ERRORS : VIEW_ERRORS,
      5,
    ),
    ...blockDevice(VIEW_DEVICE, options.view === "empty" ? "view" : topOf("v", options.view), VIEW_ERRORS, 6),
    ...(options.isIncoming ? ["-incoming", "defer"] : []),
  ];
}

/** A QEMU without a machine, to work on the layers of a disk that nobody has open. */
export function toolArguments(qemuPath: string, layerIds: readonly string[]): string[] {
  return [
    ...[qemuPath, "-nodefaults", "-no-user-config", "-display", "none", "-S"],
    ...["-name", "disk", "-msg", "timestamp=off", "-machine", "none"],
    ...SANDBOX,
    ...MONITOR,
    ...chainArguments("d", layerIds),
  ];
}

/**
 * A chain of layers and nothing else: passphrases and block nodes. The whole graph is spelled out: no format is ever
 * probed, no path is taken from a file's header.
 */
function chainArguments(chain: ChainName, layerIds: readonly string[]): string[] {
  const { backing } = CHAIN_FILES[chain];
  const argv = [
    "-blockdev",
    blockNode({
      driver: "file",
      "node-name": backingNode(chain),
      filename: jailPath(backing),
      "read-only": true,
    }),
  ];
  let below = backingNode(chain);
  for (const [index, layerId] of layerIds.entries()) {
    const { secret, keyFile, layer } = layerNodes(chain, layerId);
    const isTop = index === layerIds.length - 1;
    argv.push("-object", `secret,id=${secret},file=${JAIL_RUN}/${keyFile},format=raw`);
    argv.push("-blockdev", blockNode(layerNode(chain, layerId, { backing: below, isTop })));
    below = layer;
  }
  return argv;
}

/** As `-blockdev` and `blockdev-add` take it. */
export function layerNode(
  chain: ChainName,
  layerId: string,
  options: { backing: string | null; isTop: boolean },
): Record<string, unknown> {
  const { layer, file, secret } = layerNodes(chain, layerId);
  return {
    driver: "qcow2",
    "node-name": layer,
    file: {
      driver: "file",
      "node-name": file,
      filename: `${jailPath(CHAIN_FILES[chain].layers)}/${layerFileName(layerId)}`,
      discard: "unmap",
      // Open for writing while something writes, and no longer: a layer that is frozen later is given up by itself.
      ...(options.isTop ? { "auto-read-only": true } : { "read-only": true }),
    },
    ...(options.isTop ? {} : { "read-only": true }),
    backing: options.backing,
    discard: "unmap",
    encrypt: { format: "luks", "key-secret": secret },
  };
}

function topOf(chain: ChainName, layerIds: readonly string[]): string {
  const top = layerIds.at(-1);
  if (top === undefined) throw new RangeError("a disk without layers");
  return layerNodes(chain, top).layer;
}

function rawDiskArguments(): string[] {
  const filename = jailPath(FILE_NAMES.disk);
  return [
    "-blockdev",
    blockNode({ driver: "file", "node-name": "disk", filename, discard: "unmap", "detect-zeroes": "off" }),
  ];
}

function emptyViewArguments(): string[] {
  return [
    "-blockdev",
    blockNode({ driver: "null-co", "node-name": "view", size: VIEW_BYTES, "read-zeroes": true }),
  ];
}

const blockNode = (options: Record<string, unknown>) => JSON.stringify(options);

function blockDevice(serial: string, node: string, errors: string, slot: number): string[] {
  return device(
    `virtio-blk-pci-non-transitional,drive=${node},serial=${serial},id=${serial},write-cache=on,${errors}`,
    slot,
  );
}

/** A fixed PCI slot, so that leaving one device out moves no other. */
function device(description: string, slot: number): string[] {
  return ["-device", `${description},bus=pcie.0,addr=${slot}`];
}
