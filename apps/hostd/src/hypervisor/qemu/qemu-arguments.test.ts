import { expect, test } from "vitest";
import { type QemuArgumentOptions, qemuArguments } from "./qemu-arguments.ts";

const clone: QemuArgumentOptions = {
  qemuPath: "/usr/bin/qemu-system-x86_64",
  accelerator: "tcg",
  size: { cpus: 1, memoryMb: 512, diskMb: 2048 },
  kernelArguments: "quiet panic=1",
  layerCount: 2,
  disk: "encrypted",
  ram: "private",
  isIncoming: true,
};

/** Values of an option, in order. */
function valuesOf(argv: readonly string[], option: string): string[] {
  return argv.flatMap((argument, index) => (argument === option ? [argv[index + 1] as string] : []));
}

test("a clone has exactly these devices, at these addresses: changing one means a new MACHINE_MODEL", () => {
  const argv = qemuArguments(clone);
  expect(valuesOf(argv, "-device")).toEqual([
    "virtio-serial-pci-non-transitional,max_ports=2,bus=pcie.0,addr=1",
    "virtserialport,chardev=link,name=org.atoll.link,nr=1",
    "virtio-rng-pci-non-transitional,rng=rng,bus=pcie.0,addr=2",
    "vmgenid,guid=auto",
    "virtio-blk-pci-non-transitional,drive=base,serial=base,bus=pcie.0,addr=3",
    "virtio-blk-pci-non-transitional,drive=agent,serial=agent,bus=pcie.0,addr=4",
    "virtio-blk-pci-non-transitional,drive=disk,serial=disk,write-cache=on,bus=pcie.0,addr=5",
  ]);
  expect(valuesOf(argv, "-machine")).toEqual([
    "q35,memory-backend=ram,dump-guest-core=off,vmport=off,usb=off,sata=off,smbus=off,graphics=off,hpet=off,i8042=off",
  ]);
  expect(valuesOf(argv, "-blockdev")).toEqual([
    "driver=file,node-name=base,filename=/files/layer0,read-only=on",
    "driver=file,node-name=agent,filename=/files/layer1,read-only=on",
    "driver=file,node-name=backing,filename=/files/backing,read-only=on",
    "driver=file,node-name=disk-file,filename=/files/disk,discard=unmap",
    "driver=qcow2,node-name=disk,file=disk-file,backing=backing,discard=unmap,encrypt.format=luks,encrypt.key-secret=disk-key",
  ]);
  expect(valuesOf(argv, "-object")).toEqual([
    "memory-backend-file,id=ram,size=512M,mem-path=/files/ram,share=off,readonly=on,rom=off",
    "rng-random,id=rng,filename=/dev/urandom",
    "secret,id=disk-key,file=/vm/disk-key,format=raw",
  ]);
  expect(valuesOf(argv, "-sandbox")).toEqual([
    "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
  ]);
  expect(valuesOf(argv, "-incoming")).toEqual(["defer"]);
});

test("no machine has a network card or a display", () => {
  for (const disk of ["encrypted", "raw"] as const) {
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
  expect(valuesOf(bake, "-blockdev").at(-1)).toBe(
    "driver=file,node-name=disk,filename=/files/disk,discard=unmap,detect-zeroes=off",
  );
  expect(bake).not.toContain("-incoming");
  const argv = qemuArguments(clone);
  for (const option of ["-device", "-machine", "-cpu", "-smp", "-m", "-append"]) {
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
