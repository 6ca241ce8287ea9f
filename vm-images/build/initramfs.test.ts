import { expect, test } from "vitest";
import { loadOrder } from "./initramfs.ts";

const MODULES = [
  "kernel/drivers/block/virtio_blk.ko.xz:",
  "kernel/fs/erofs/erofs.ko.xz: kernel/lib/netfs.ko.xz kernel/lib/crc.ko.xz",
  "kernel/lib/netfs.ko.xz: kernel/lib/crc.ko.xz",
  "kernel/lib/crc.ko.xz:",
  "kernel/drivers/char/virtio-rng.ko.xz:",
].join("\n");

test("loads every module after what it needs, and once", () => {
  expect(loadOrder(MODULES, ["erofs", "crc", "virtio_rng"])).toEqual([
    "kernel/lib/crc.ko.xz",
    "kernel/lib/netfs.ko.xz",
    "kernel/fs/erofs/erofs.ko.xz",
    "kernel/drivers/char/virtio-rng.ko.xz",
  ]);
});

test("refuses a module the kernel does not have", () => {
  expect(() => loadOrder(MODULES, ["zfs"])).toThrow("no module zfs");
});
