import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { realFileOps, withFileOps } from "@atoll/durable/file-ops";
import { expect, test } from "vitest";
import { FAKE_LUKS, FAKE_QEMU_IMG, fakeEmptyDisk } from "../testing/fake-qemu-img.ts";
import { EmptyLayers } from "./empty-layers.ts";
import { ReadyLayers } from "./ready-layers.ts";

async function place(qemuImgCommand: readonly string[] = FAKE_QEMU_IMG) {
  const path = await mkdtemp(join(tmpdir(), "atoll-layers-"));
  const faults: unknown[] = [];
  const emptyLayers = new EmptyLayers({
    ...{ directory: join(path, "moulds"), qemuImgCommand, scratchDirectory: join(path, "scratch") },
    signal: new AbortController().signal,
  });
  const onFault = (error: unknown) => faults.push(error);
  const ready = new ReadyLayers({ directory: join(path, "ready"), emptyLayers, onFault });
  return { path, ready, faults, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}

test("each layer is the empty disk under a key and a header of its own, and the tool ran once", async () => {
  await using at = await place();
  const layers = [await at.ready.take(at.path, 64), await at.ready.take(at.path, 64)] as const;
  const files = await Promise.all(layers.map(({ layerId }) => readFile(join(at.path, `${layerId}.qcow2`))));
  const [one, other] = files as [Buffer, Buffer];
  const header = (file: Buffer) => file.subarray(FAKE_LUKS.at, FAKE_LUKS.at + FAKE_LUKS.bytes);
  expect(header(one).equals(header(other))).toBe(false);
  for (const file of [one, other]) {
    expect(file.subarray(0, FAKE_LUKS.at).equals(fakeEmptyDisk().subarray(0, FAKE_LUKS.at))).toBe(true);
  }
  expect(Buffer.from(layers[0].key).equals(Buffer.from(layers[1].key))).toBe(false);
  expect((await stat(join(at.path, `${layers[0].layerId}.qcow2`))).mode & 0o777).toBe(0o600);
  expect(await readdir(join(at.path, "moulds"))).toEqual(["64.qcow2"]);
  expect(await readdir(join(at.path, "scratch"))).toEqual([]);
});

test("what was made ahead is given out once, made up for, and gone at the end", async () => {
  await using at = await place();
  at.ready.keep(64, 2);
  at.ready.refill();
  const shelf = join(at.path, "ready");
  await at.ready.settled();
  expect(await readdir(shelf)).toHaveLength(2);
  const taken = await Promise.all([0, 1, 2].map(() => at.ready.take(at.path, 64)));
  expect(new Set(taken.map(({ layerId }) => layerId)).size).toBe(3);
  expect(await readdir(shelf)).toEqual([]);
  at.ready.refill();
  await at.ready.settled();
  expect(await readdir(shelf)).toHaveLength(2);
  await at.ready[Symbol.asyncDispose]();
  expect(await readdir(shelf)).toEqual([]);
  expect(at.faults).toEqual([]);
});

test("one that vanished is made again; what an earlier life left is removed", async () => {
  await using at = await place();
  at.ready.keep(64, 1);
  at.ready.refill();
  const shelf = join(at.path, "ready");
  await at.ready.settled();
  await writeFile(join(shelf, "left"), "");
  await at.ready.sweep();
  expect(await readdir(shelf)).toEqual([]);
  const { layerId } = await at.ready.take(at.path, 64);
  await stat(join(at.path, `${layerId}.qcow2`));
});

test("a damaged mould is made anew, a tool that makes something else is refused", async () => {
  await using at = await place();
  await at.ready.take(at.path, 64);
  const mould = join(at.path, "moulds", "64.qcow2");
  await chmod(mould, 0o600);
  await writeFile(mould, "damaged");
  const again = new EmptyLayers({
    ...{ directory: join(at.path, "moulds"), qemuImgCommand: FAKE_QEMU_IMG, scratchDirectory: at.path },
    signal: new AbortController().signal,
  });
  await again.make(join(at.path, "new.qcow2"), 64, new Uint8Array(32));
  await using other = await place(["sh", "-c", 'while [ $# -gt 2 ]; do shift; done; : >"$1"', "qemu-img"]);
  await expect(other.ready.take(other.path, 64)).rejects.toMatchObject({ code: "vm.start_failed" });
});

test("a layer the disk has no room for leaves no file", async () => {
  await using at = await place();
  await at.ready.take(at.path, 64);
  const before = await readdir(at.path);
  const full = {
    ...realFileOps,
    async create(path: string, mode: number) {
      const file = await realFileOps.create(path, mode);
      const write = async () => {
        throw Object.assign(new Error("full"), { code: "ENOSPC" });
      };
      return { write, sync: () => file.sync(), [Symbol.asyncDispose]: () => file[Symbol.asyncDispose]() };
    },
  };
  await expect(withFileOps(full, () => at.ready.take(at.path, 64))).rejects.toMatchObject({
    code: "host.disk_full",
  });
  expect(await readdir(at.path)).toEqual(before);
});
