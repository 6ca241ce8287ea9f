import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { BuiltImages, readBuiltVmm } from "./built-images.ts";

function image(key: string, name = "base") {
  return {
    name,
    key,
    basePath: "/cache/base.erofs",
    agentPath: "/cache/agent.erofs",
    kernelPath: "/cache/vmlinuz",
    emulatedKernelPath: "/cache/vmlinux",
    initramfsPath: "/cache/initramfs.img",
    manifest: {
      kernelArguments: ["quiet", "panic=1"],
      emulatedKernelArguments: ["mitigations=off"],
      packageSources: ["Deb.Example.org"],
    },
  };
}

async function cache(files: Record<string, unknown>) {
  const path = await mkdtemp(join(tmpdir(), "atoll-cache-"));
  for (const [name, content] of Object.entries(files)) {
    await mkdir(join(path, name, ".."), { recursive: true });
    await writeFile(join(path, name), typeof content === "string" ? content : JSON.stringify(content));
  }
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

it("finds the current image by name and older ones by key, with the arguments of this host", async () => {
  const [current, older] = ["a".repeat(32), "b".repeat(32)];
  await using made = await cache({
    "current/image-base.json": image(current),
    [`images/by-key/${older}.json`]: { ...image(older), emulatedKernelPath: undefined },
  });
  const images = await BuiltImages.open({ cacheDirectory: made.path, names: ["base"] });
  const files = images.filesFor("emulated");
  expect(await files.byName("base")).toEqual({
    key: current,
    kernelPath: "/cache/vmlinux",
    initramfsPath: "/cache/initramfs.img",
    layerPaths: ["/cache/base.erofs", "/cache/agent.erofs"],
    kernelArguments: "quiet panic=1 mitigations=off",
  });
  const onHardware = images.filesFor("hardware");
  expect((await onHardware.byKey(older)).kernelArguments).toBe("quiet panic=1");
  expect((await onHardware.byName("base")).kernelPath).toBe("/cache/vmlinuz");
  expect((await files.byKey(older)).kernelPath).toBe("/cache/vmlinuz");
  expect(images.packageHosts("base")).toEqual(new Set(["deb.example.org"]));
  expect(images.packageHosts("other")).toEqual(new Set());
});

it.each(["c".repeat(32), "../current/image-base", ""])("does not know the key %j", async (key) => {
  await using made = await cache({ "current/image-base.json": image("a".repeat(32)) });
  const images = await BuiltImages.open({ cacheDirectory: made.path, names: ["base"] });
  await expect(images.filesFor("emulated").byKey(key)).rejects.toMatchObject({ code: "image.unknown" });
});

it.each([{}, { "current/image-base.json": "{ torn", "current/vmm.json": "" }])(
  "says what is missing of %j",
  async (files) => {
    await using made = await cache(files);
    await expect(BuiltImages.open({ cacheDirectory: made.path, names: ["base"] })).rejects.toMatchObject({
      code: "image.unknown",
    });
    await expect(readBuiltVmm(made.path)).rejects.toMatchObject({ code: "image.unknown" });
  },
);
