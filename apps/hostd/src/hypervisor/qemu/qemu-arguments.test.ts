import { expect, test } from "vitest";
import { layerIdOf } from "./block-nodes.ts";
import { type QemuArgumentOptions, qemuArguments } from "./qemu-arguments.ts";

const BOTTOM = "00112233-4455-6677-8899-aabbccddeeff";
const TOP = "fedcba98-7654-3210-fedc-ba9876543210";
/** As base64 in node names. */
const [BOTTOM_CODE, TOP_CODE] = ["ABEiM0RVZneImaq7zN3u_w", "_ty6mHZUMhD-3LqYdlQyEA"];

const clone: QemuArgumentOptions = {
  qemuPath: "/usr/bin/qemu-system-x86_64",
  accelerator: "tcg",
  size: { cpus: 1, memoryMb: 512, diskMb: 2048 },
  kernelArguments: "quiet panic=1",
  layerCount: 2,
  disk: [BOTTOM, TOP],
  view: "empty",
  ram: "private",
  isIncoming: true,
};

/** Nodes behind the disks of one workspace: those given as JSON. */
function nodesOf(argv: readonly string[]): unknown[] {
  return valuesOf(argv, "-blockdev").flatMap((text) => (text.startsWith("{") ? [JSON.parse(text)] : []));
}

/** Values of an option, in order. */
function valuesOf(argv: readonly string[], option: string): string[] {
  return argv.flatMap((argument, index) => (argument === option ? [argv[index + 1] as string] : []));
}

test("a clone has exactly these devices, at these addresses: changing one means a new MACHINE_MODEL", () => {
  const argv = qemuArguments(clone);
  expect(valuesOf(argv, "-device")).toEqual([
    "virtio-serial-pci-non-transitional,max_ports=2,bus=pcie.0,addr=1",
    "virtserialport,chardev=link,name=org.atoll.link,nr=1,id=link",
    "virtio-rng-pci-non-transitional,rng=rng,bus=pcie.0,addr=2",
    "vmgenid,guid=auto",
    "virtio-blk-pci-non-transitional,drive=base,serial=base,bus=pcie.0,addr=3",
    "virtio-blk-pci-non-transitional,drive=agent,serial=agent,bus=pcie.0,addr=4",
    `virtio-blk-pci-non-transitional,drive=d-${TOP_CODE},serial=disk,id=disk,write-cache=on,werror=stop,rerror=report,bus=pcie.0,addr=5`,
    "virtio-blk-pci-non-transitional,drive=view,serial=view,id=view,write-cache=on,werror=report,rerror=report,bus=pcie.0,addr=6",
  ]);
  expect(valuesOf(argv, "-machine")).toEqual([
    "q35,memory-backend=ram,dump-guest-core=off,vmport=off,usb=off,sata=off,smbus=off,graphics=off,hpet=off,i8042=off",
  ]);
  expect(valuesOf(argv, "-blockdev").slice(0, 2)).toEqual([
    "driver=file,node-name=base,filename=/files/layer0,read-only=on",
    "driver=file,node-name=agent,filename=/files/layer1,read-only=on",
  ]);
  expect(valuesOf(argv, "-object")).toEqual([
    "memory-backend-file,id=ram,size=512M,mem-path=/files/ram,share=off,readonly=on,rom=off",
    "rng-random,id=rng,filename=/dev/urandom",
    `secret,id=dk-${BOTTOM_CODE},file=/vm/key-d-${BOTTOM_CODE},format=raw`,
    `secret,id=dk-${TOP_CODE},file=/vm/key-d-${TOP_CODE},format=raw`,
  ]);
  expect(valuesOf(argv, "-sandbox")).toEqual([
    "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
  ]);
  expect(valuesOf(argv, "-incoming")).toEqual(["defer"]);
});

test("a disk is exactly its layers over the template's disk, and only the top can be written", () => {
  expect(nodesOf(qemuArguments(clone))).toEqual([
    { driver: "file", "node-name": "d-backing", filename: "/files/backing", "read-only": true },
    {
      driver: "qcow2",
      "node-name": `d-${BOTTOM_CODE}`,
      file: {
        driver: "file",
        "node-name": `df-${BOTTOM_CODE}`,
        filename: `/files/layers/${BOTTOM}.qcow2`,
        discard: "unmap",
        "read-only": true,
      },
      "read-only": true,
      backing: "d-backing",
      discard: "unmap",
      encrypt: { format: "luks", "key-secret": `dk-${BOTTOM_CODE}` },
    },
    {
      driver: "qcow2",
      "node-name": `d-${TOP_CODE}`,
      file: {
        driver: "file",
        "node-name": `df-${TOP_CODE}`,
        filename: `/files/layers/${TOP}.qcow2`,
        discard: "unmap",
        "auto-read-only": true,
      },
      backing: `d-${BOTTOM_CODE}`,
      discard: "unmap",
      encrypt: { format: "luks", "key-secret": `dk-${TOP_CODE}` },
    },
    { driver: "null-co", "node-name": "view", size: 137_438_953_472, "read-zeroes": true },
  ]);
});

test("a disk to look into changes nothing about the devices but what lies behind the last", () => {
  const argv = qemuArguments({ ...clone, view: [TOP] });
  const devices = valuesOf(argv, "-device");
  const others = valuesOf(qemuArguments(clone), "-device").slice(0, -1);
  // What its own disk refuses does not stop a machine that only looks.
  const telling = (text: string) => text.replace("werror=stop", "werror=report");
  expect(devices.slice(0, -1)).toEqual(others.map(telling));
  expect(devices.at(-1)).toBe(
    `virtio-blk-pci-non-transitional,drive=v-${TOP_CODE},serial=view,id=view,write-cache=on,werror=report,rerror=report,bus=pcie.0,addr=6`,
  );
  expect(nodesOf(argv).slice(3)).toMatchObject([
    { "node-name": "v-backing", filename: "/files/view-backing", "read-only": true },
    { "node-name": `v-${TOP_CODE}`, file: { filename: `/files/view-layers/${TOP}.qcow2` } },
  ]);
  expect(valuesOf(argv, "-object").at(-1)).toBe(
    `secret,id=vk-${TOP_CODE},file=/vm/key-v-${TOP_CODE},format=raw`,
  );
});

test("layer ids are UUIDs, as they become part of names and paths, and come back out of a node's name", () => {
  for (const layerId of ["", "../other", "a,read-only=on", TOP.toUpperCase()]) {
    expect(() => qemuArguments({ ...clone, disk: [layerId] })).toThrow(RangeError);
  }
  expect([layerIdOf(`d-${TOP_CODE}`), layerIdOf(`v-${TOP_CODE}`), layerIdOf("d-backing")]).toEqual([
    TOP,
    undefined,
    undefined,
  ]);
  expect(() => qemuArguments({ ...clone, disk: [] })).toThrow(RangeError);
});

test("no machine has a network card or a display", () => {
  for (const disk of [[TOP], "raw"] as const) {
    const argv = qemuArguments({ ...clone, disk });
    expect(argv).toContain("-nodefaults");
    expect(argv).not.toContain("-netdev");
    expect(argv).not.toContain("-nic");
    expect(argv.join(" ")).not.toMatch(/virtio-net|e1000|vga|vnc/);
  }
});

test("baking writes its RAM to the template's file and its disk as it is; clones share every device with it", () => {
  const bake = qemuArguments({ ...clone, disk: "raw", ram: "shared", isIncoming: false });
  expect(valuesOf(bake, "-object")).toEqual([
    "memory-backend-file,id=ram,size=512M,mem-path=/files/ram,share=on",
    "rng-random,id=rng,filename=/dev/urandom",
  ]);
  expect(nodesOf(bake)[0]).toEqual({
    driver: "file",
    "node-name": "disk",
    filename: "/files/disk",
    discard: "unmap",
    "detect-zeroes": "off",
  });
  expect(bake).not.toContain("-incoming");
  const argv = qemuArguments(clone);
  // Devices are the same but for the node behind the disk.
  const devices = (of: readonly string[]) =>
    valuesOf(of, "-device").map((text) => text.replace(/drive=[^,]+/, ""));
  expect(devices(bake)).toEqual(devices(argv));
  for (const option of ["-machine", "-cpu", "-smp", "-m", "-append"]) {
    expect(valuesOf(bake, option)).toEqual(valuesOf(argv, option));
  }
});

test("hardware machines get the host's processor", () => {
  const argv = qemuArguments({
    ...clone,
    accelerator: "kvm",
    size: { cpus: 8, memoryMb: 16_384, diskMb: 1 },
  });
  expect([
    valuesOf(argv, "-accel"),
    valuesOf(argv, "-cpu"),
    valuesOf(argv, "-smp"),
    valuesOf(argv, "-m"),
  ]).toEqual([["kvm"], ["host"], ["8"], ["16384M"]]);
});
