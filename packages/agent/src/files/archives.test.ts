import { execFileSync } from "node:child_process";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { call, openChannel } from "@atoll/protocol/call";
import { filesPack, filesUnpack, filesUsage } from "@atoll/protocol/messages/views";
import type { Mux } from "@atoll/protocol/mux";
import { describe, expect, it } from "vitest";
import { testGuest } from "../testing/test-guest.ts";
import { mountsBelow } from "./mounts-below.ts";

async function guestWith(files: Record<string, string | Buffer>) {
  const guest = await testGuest();
  const scratch = await mkdtemp(join(tmpdir(), "atoll-archive-"));
  for (const [path, content] of Object.entries(files)) {
    await mkdir(join(guest.folder, path, ".."), { recursive: true });
    await writeFile(join(guest.folder, path), content);
  }
  return {
    guest,
    folder: guest.folder,
    scratch,
    async [Symbol.asyncDispose]() {
      await guest[Symbol.asyncDispose]();
      await rm(scratch, { recursive: true, force: true });
    },
  };
}

async function pack(mux: Mux, root: string, paths: string[], format: "tar" | "zip") {
  const channel = await openChannel(mux, filesPack, { root, paths, format });
  const chunks: Uint8Array[] = [];
  let skippedCount: number | undefined;
  for await (const item of channel.items()) {
    if (item.kind === "data") chunks.push(item.bytes);
    else skippedCount = item.value.skippedCount;
  }
  return { bytes: Buffer.concat(chunks), skippedCount };
}

async function unpack(mux: Mux, root: string, bytes: Uint8Array) {
  const channel = await openChannel(mux, filesUnpack, { root });
  await channel.stream.write(bytes);
  channel.stream.end();
  const events = [];
  for await (const item of channel.items()) events.push(item);
  return events;
}

describe("tar", () => {
  it("brings back contents, modes, links and odd names elsewhere", async () => {
    await using one = await guestWith({
      "a/-rf": "dash",
      "a/new\nline": "x",
      "a/b/deep.txt": "deep",
      "c.sh": "#!/bin/sh",
    });
    await chmod(join(one.folder, "c.sh"), 0o755);
    await symlink("b/deep.txt", join(one.folder, "a/link"));
    const { bytes, skippedCount } = await pack(one.guest.client, one.folder, ["a", "c.sh"], "tar");
    expect(skippedCount).toBe(0);
    const target = join(one.scratch, "target");
    await mkdir(join(target, "a"), { recursive: true });
    await writeFile(join(target, "a/-rf"), "older");
    await writeFile(join(target, "stays"), "stays");
    expect(await unpack(one.guest.client, target, bytes)).toEqual([
      { kind: "event", value: { type: "unpacked" } },
    ]);
    expect(await readFile(join(target, "a/-rf"), "utf8")).toBe("dash");
    expect(await readFile(join(target, "a/link"), "utf8")).toBe("deep");
    expect((await stat(join(target, "c.sh"))).mode & 0o777).toBe(0o755);
    expect(await readdir(target)).toEqual(["a", "c.sh", "stays"]);
    expect(await readdir(join(target, "a"))).toContain("new\nline");
  });

  it("of everything is `.`", async () => {
    await using one = await guestWith({ "x/y": "1" });
    const { bytes } = await pack(one.guest.client, join(one.folder, "x"), ["."], "tar");
    const listing = execFileSync("tar", ["-t"], { input: bytes, encoding: "utf8" });
    expect(listing).toBe("./\n./y\n");
  });

  it("that is none, or leads outside, leaves everything else as it was", async () => {
    await using one = await guestWith({ "in/file": "1", "evil/passwd": "evil" });
    const target = join(one.scratch, "target");
    await mkdir(target);
    await expect(
      unpack(one.guest.client, target, Buffer.from("not a tar archive".repeat(100))),
    ).rejects.toMatchObject({
      code: "request.invalid",
    });
    const upwards = execFileSync("tar", ["-c", "-P", "--transform=s,^,../,", "passwd"], {
      cwd: join(one.folder, "evil"),
    });
    await expect(unpack(one.guest.client, target, upwards)).rejects.toMatchObject({
      code: "request.invalid",
    });
    expect(await readdir(one.scratch)).toEqual(["target"]);
    expect(await readdir(target)).toEqual([]);
    const absolute = execFileSync("tar", ["-c", "-P", "--transform=s,^,/atoll-test-absolute/,", "passwd"], {
      cwd: join(one.folder, "evil"),
    });
    await unpack(one.guest.client, target, absolute);
    expect(await readFile(join(target, "atoll-test-absolute/passwd"), "utf8")).toBe("evil");
  });
});

describe("zip", () => {
  it("is what unzip reads, with links as links and names as they are", async () => {
    const noise = Buffer.from(Array.from({ length: 300_000 }, (_, at) => (at * 7919) % 251));
    await using one = await guestWith({
      "p/a.txt": "alpha",
      "p/ümlaut/ß.bin": noise,
      "p/empty": "",
      "p/-dash": "d",
    });
    await mkdir(join(one.folder, "p/nothing"));
    await symlink("a.txt", join(one.folder, "p/link"));
    execFileSync("mkfifo", [join(one.folder, "p/fifo")]);
    const { bytes, skippedCount } = await pack(one.guest.client, one.folder, ["p"], "zip");
    expect(skippedCount).toBe(0);
    const archive = join(one.scratch, "p.zip");
    await writeFile(archive, bytes);
    const reader = [
      "import zipfile, sys, stat",
      "z = zipfile.ZipFile(sys.argv[1])",
      "assert z.testzip() is None",
      "z.extractall(sys.argv[2])",
      "print(sorted(z.namelist()), stat.S_ISLNK(z.getinfo('p/link').external_attr >> 16), z.read('p/link').decode())",
    ].join("\n");
    const out = execFileSync("python3", ["-c", reader, archive, one.scratch], { encoding: "utf8" });
    expect(out.trim()).toBe(
      "['p/', 'p/-dash', 'p/a.txt', 'p/empty', 'p/link', 'p/nothing/', 'p/ümlaut/', 'p/ümlaut/ß.bin'] True a.txt",
    );
    expect((await readFile(join(one.scratch, "p/ümlaut/ß.bin"))).equals(noise)).toBe(true);
  });

  it("of nothing is an empty archive", async () => {
    await using one = await guestWith({ "p/.keep": "" });
    await rm(join(one.folder, "p/.keep"));
    const { bytes } = await pack(one.guest.client, join(one.folder, "p"), ["."], "zip");
    const archive = join(one.scratch, "empty.zip");
    await writeFile(archive, bytes);
    const out = execFileSync("python3", [
      "-c",
      "import zipfile,sys;print(zipfile.ZipFile(sys.argv[1]).namelist())",
      archive,
    ]);
    expect(out.toString().trim()).toBe("[]");
  });
});

describe("packing", () => {
  it.each(["tar", "zip"] as const)(
    "as %s refuses names that lead outside, and what is not there",
    async (format) => {
      await using one = await guestWith({ "a/b": "1" });
      const { client } = one.guest;
      for (const path of ["../x", "a/../../x", "/etc/passwd", "a/\0"]) {
        await expect(pack(client, one.folder, [path], format)).rejects.toMatchObject({
          code: "file.name_invalid",
        });
      }
      await expect(pack(client, one.folder, ["absent"], format)).rejects.toMatchObject({
        code: "file.not_found",
      });
      await expect(pack(client, "/", ["proc"], format)).rejects.toMatchObject({ code: "file.denied" });
      await expect(pack(client, "/proc", ["."], format)).rejects.toMatchObject({ code: "file.denied" });
    },
  );

  it.each(["tar", "zip"] as const)("as %s stops when nobody reads any more", async (format) => {
    await using one = await guestWith({ big: Buffer.alloc(8 * 1024 * 1024, "x\n1") });
    const { stream } = await openChannel(one.guest.client, filesPack, {
      root: one.folder,
      paths: ["big"],
      format,
    });
    stream.reset();
    await expect(stream.closed).resolves.toBeDefined();
    expect((await pack(one.guest.client, one.folder, ["big"], format)).skippedCount).toBe(0);
  });
});

describe("usage", () => {
  it("lists the largest first, folders with all below them, down to a depth", async () => {
    await using one = await guestWith({
      "big/one": Buffer.alloc(300_000, 1),
      "big/deep/two": Buffer.alloc(200_000, 1),
      small: Buffer.alloc(5000, 1),
    });
    const { entries, diskTotalBytes, diskFreeBytes, isPartial } = await call(one.guest.client, filesUsage, {
      path: one.folder,
      depth: 2,
    });
    expect(entries.map(({ path, isFolder }) => [path.slice(one.folder.length), isFolder])).toEqual([
      ["/big", true],
      ["/big/one", false],
      ["/big/deep", true],
      ["/small", false],
    ]);
    expect(entries[0]?.sizeBytes).toBeGreaterThanOrEqual(500_000);
    expect(diskTotalBytes).toBeGreaterThan(diskFreeBytes);
    expect(isPartial).toBeUndefined();
  });

  it("knows what is mounted below, to leave it out", async () => {
    expect(await mountsBelow("/")).toContain("proc");
    expect(await mountsBelow("/proc/self")).toEqual([]);
  });

  it("names 200 at most", async () => {
    const files = Object.fromEntries(Array.from({ length: 900 }, (_, at) => [`f${at}`, "x".repeat(at * 20)]));
    await using one = await guestWith(files);
    const { entries } = await call(one.guest.client, filesUsage, { path: one.folder, depth: 1 });
    expect(entries).toHaveLength(200);
  });
});
