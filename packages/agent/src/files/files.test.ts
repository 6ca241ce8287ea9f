import { execFileSync } from "node:child_process";
import { renameSync } from "node:fs";
import {
  chmod,
  link,
  lstat,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { call, openChannel } from "@atoll/protocol/call";
import { WATCHES_PER_SESSION } from "@atoll/protocol/limits";
import {
  filesCreate,
  filesDelete,
  filesList,
  filesRead,
  filesRename,
  filesStat,
  filesWatch,
  filesWrite,
} from "@atoll/protocol/messages/files";
import type { Mux } from "@atoll/protocol/mux";
import { describe, expect, it } from "vitest";
import { type TestGuest, testGuest } from "../testing/test-guest.ts";

type Expect = { version: string } | "absent" | "any";

async function write(client: Mux, path: string, text: string | Uint8Array, expected: Expect = "any") {
  const bytes = typeof text === "string" ? Buffer.from(text) : text;
  const stream = client.open(filesWrite.name, { path, sizeBytes: bytes.length, expect: expected });
  const sending = stream.write(bytes).then(() => stream.end());
  sending.catch(() => {});
  const { entry } = filesWrite.result.parse(await stream.reply);
  return entry;
}

async function read(client: Mux, path: string, maxBytes?: number) {
  const channel = await openChannel(client, filesRead, {
    path,
    ...(maxBytes === undefined ? {} : { maxBytes }),
  });
  channel.stream.end();
  const parts: Uint8Array[] = [];
  for await (const item of channel.items()) if (item.kind === "data") parts.push(item.bytes);
  return { entry: channel.result.entry, text: Buffer.concat(parts).toString() };
}

const failure = (code: string) => expect.objectContaining({ code });
const openFds = async () => (await readdir("/proc/self/fd")).length;

describe("reading and listing", () => {
  it("lists entries with their kinds, and what symlinks lead to", async () => {
    await using guest = await testGuest();
    const at = (name: string) => join(guest.folder, name);
    await writeFile(at("a.txt"), "hello");
    await mkdir(at("folder"));
    await symlink("folder", at("to-folder"));
    await symlink("nowhere", at("to-nothing"));
    await writeFile(at(".atoll-tmp-1"), "");
    execFileSync("mkfifo", [at("fifo")]);
    const { entries, isTruncated } = await call(guest.client, filesList, { path: guest.folder });
    expect(isTruncated).toBe(false);
    const kinds = entries.map(({ name, kind, targetKind }) => [name, kind, targetKind]).sort();
    expect(kinds).toEqual([
      ["a.txt", "file", undefined],
      ["fifo", "other", undefined],
      ["folder", "directory", undefined],
      ["to-folder", "symlink", "directory"],
      ["to-nothing", "symlink", undefined],
    ]);
  });

  it("leaves out names that are not UTF-8, and deletes them with their folder", async () => {
    await using guest = await testGuest();
    await mkdir(join(guest.folder, "f"));
    await writeFile(Buffer.concat([Buffer.from(`${guest.folder}/f/`), Buffer.from([0x66, 0xff])]), "");
    expect((await call(guest.client, filesList, { path: `${guest.folder}/f` })).entries).toEqual([]);
    await call(guest.client, filesDelete, { path: `${guest.folder}/f`, recursive: true });
    expect(await readdir(guest.folder)).toEqual([]);
  });

  it("reads a file whole, through links, and says what it is", async () => {
    await using guest = await testGuest();
    const text = "x".repeat(1_000_000);
    await mkdir(join(guest.folder, "d"));
    await writeFile(join(guest.folder, "d/big"), text);
    await symlink("d", join(guest.folder, "l1"));
    await symlink(`${guest.folder}/l1/../d/big`, join(guest.folder, "l2"));
    const found = await read(guest.client, join(guest.folder, "l2"));
    expect(found.text).toBe(text);
    expect(found.entry).toMatchObject({ name: "l2", kind: "file", sizeBytes: text.length });
    await expect(read(guest.client, join(guest.folder, "l2"), 10)).rejects.toEqual(failure("file.too_large"));
  });

  it("refuses with the code of the reason", async () => {
    await using guest = await testGuest();
    const at = (name: string) => join(guest.folder, name);
    execFileSync("mkfifo", [at("fifo")]);
    await symlink("loop", at("loop"));
    await symlink("/proc/self/environ", at("to-proc"));
    await symlink("/proc", at("proc-folder"));
    await writeFile(at("file"), "");
    const cases: Array<[string, string]> = [
      [at("absent"), "file.not_found"],
      [at("file/below"), "file.not_directory"],
      [at("loop"), "file.not_found"],
      [at("fifo"), "file.not_regular"],
      [guest.folder, "file.is_directory"],
      ["/", "file.is_directory"],
      ["/proc/version", "file.denied"],
      ["/dev/zero", "file.denied"],
      ["/sys/kernel/notes", "file.denied"],
      [at("to-proc"), "file.denied"],
      [at("proc-folder/version"), "file.denied"],
      [at("../absent-beside-it"), "file.not_found"],
      [`${guest.folder}/./x`, "file.name_invalid"],
      [`${guest.folder}/../x`, "file.name_invalid"],
      [at("n".repeat(256)), "file.name_invalid"],
      [at("lone\ud800"), "file.name_invalid"],
      [at(".atoll-tmp-x"), "file.name_invalid"],
    ];
    for (const [path, code] of cases) {
      await expect(read(guest.client, path), path).rejects.toEqual(failure(code));
    }
    await expect(call(guest.client, filesList, { path: "/proc" })).rejects.toEqual(failure("file.denied"));
    await expect(call(guest.client, filesList, { path: at("file") })).rejects.toEqual(
      failure("file.not_directory"),
    );
    expect(guest.lines).toEqual([]);
  });

  it("leaves no descriptor open, whatever came of it", async () => {
    await using guest = await testGuest();
    await mkdir(join(guest.folder, "a/b/c"), { recursive: true });
    await symlink("/proc/x", join(guest.folder, "a/l"));
    const round = async () => {
      await call(guest.client, filesStat, { path: `${guest.folder}/a/b/c` });
      await call(guest.client, filesStat, { path: "/" });
      await read(guest.client, `${guest.folder}/a/l`).catch(() => {});
      await read(guest.client, `${guest.folder}/a/none/x`).catch(() => {});
      await write(guest.client, `${guest.folder}/a/b/f`, "x");
      await call(guest.client, filesList, { path: `${guest.folder}/a` });
    };
    await round();
    const before = await openFds();
    for (let index = 0; index < 10; index++) await round();
    expect(await openFds()).toBeLessThanOrEqual(before);
  });
});

describe("writing", () => {
  it("makes a new file for the owner of its folder, and only where nothing is", async () => {
    await using guest = await testGuest();
    const path = join(guest.folder, "new");
    if (process.getuid?.() === 0) execFileSync("chown", ["1234:1235", guest.folder]);
    const entry = await write(guest.client, path, "one", "absent");
    expect(await readFile(path, "utf8")).toBe("one");
    const facts = await stat(path);
    const folder = await stat(guest.folder);
    expect([facts.uid, facts.gid, facts.mode & 0o777]).toEqual([folder.uid, folder.gid, 0o644]);
    expect(entry.version).toBe((await call(guest.client, filesStat, { path })).version);
    await expect(write(guest.client, path, "two", "absent")).rejects.toEqual(failure("file.exists"));
    expect(await readdir(guest.folder)).toEqual(["new"]);
  });

  it("replaces exactly the version it was told, keeping mode and owner", async () => {
    await using guest = await testGuest();
    const path = join(guest.folder, "script");
    await writeFile(path, "old");
    await chmod(path, 0o4751);
    const { version } = await call(guest.client, filesStat, { path });
    await chmod(path, 0o4750);
    const written = await write(guest.client, path, "new", { version });
    expect((await stat(path)).mode & 0o7777).toBe(0o750);
    await expect(write(guest.client, path, "again", { version })).rejects.toEqual(failure("file.conflict"));
    await write(guest.client, path, "newer", { version: written.version });
    await rm(path);
    await expect(write(guest.client, path, "x", { version: written.version })).rejects.toEqual(
      failure("file.conflict"),
    );
    expect(await readdir(guest.folder)).toEqual([]);
  });

  it("lets one of two saves of the same version win", async () => {
    await using guest = await testGuest();
    const path = join(guest.folder, "f");
    await writeFile(path, "0");
    for (let round = 0; round < 20; round++) {
      const { version } = await call(guest.client, filesStat, { path });
      const results = await Promise.allSettled(
        ["a", "b", "c"].map((text) => write(guest.client, path, `${text}${round}`, { version })),
      );
      expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    }
  });

  it("writes through a symlink and keeps it", async () => {
    await using guest = await testGuest();
    await mkdir(join(guest.folder, "real"));
    await symlink("real/target", join(guest.folder, "l"));
    await write(guest.client, join(guest.folder, "l"), "x");
    expect((await lstat(join(guest.folder, "l"))).isSymbolicLink()).toBe(true);
    expect(await readFile(join(guest.folder, "real/target"), "utf8")).toBe("x");
  });

  it("leaves the old file and nothing else when the upload ends early, lies about its size, or the link goes", async () => {
    await using guest = await testGuest();
    const path = join(guest.folder, "f");
    await writeFile(path, "old");
    const open = (sizeBytes: number) =>
      guest.client.open(filesWrite.name, { path, sizeBytes, expect: "any" });
    const short = open(10);
    await short.write(Buffer.from("new"));
    short.end();
    await expect(short.reply).rejects.toEqual(failure("request.invalid"));
    const long = open(1);
    await long.write(Buffer.from("newer"));
    await expect(long.reply).rejects.toEqual(failure("request.invalid"));
    const cut = open(10);
    await cut.write(Buffer.from("new"));
    cut.reset();
    await call(guest.client, filesStat, { path });
    await expect.poll(() => readdir(guest.folder)).toEqual(["f"]);
    expect(await readFile(path, "utf8")).toBe("old");
  });

  it("never replaces what is no ordinary file", async () => {
    await using guest = await testGuest();
    execFileSync("mkfifo", [join(guest.folder, "fifo")]);
    await expect(write(guest.client, join(guest.folder, "fifo"), "x")).rejects.toEqual(
      failure("file.not_regular"),
    );
    await expect(write(guest.client, guest.folder, "x")).rejects.toEqual(failure("file.is_directory"));
    await expect(write(guest.client, "/proc/sys/x", "x")).rejects.toEqual(failure("file.denied"));
    await expect(write(guest.client, join(guest.folder, "no/x"), "x")).rejects.toEqual(
      failure("file.not_found"),
    );
  });

  it("never leaves the folder while its components are swapped for links under it", async () => {
    await using guest = await testGuest();
    const inside = join(guest.folder, "inside");
    const outside = join(guest.folder, "outside");
    await mkdir(join(inside, "d"), { recursive: true });
    await mkdir(join(outside, "d"), { recursive: true });
    await writeFile(join(outside, "d/secret"), "secret");
    let isRunning = true;
    // The path either is the folder or a link to /proc; never may an operation end in a kernel file system.
    const swapping = (async () => {
      await symlink("/proc/self", join(guest.folder, "link"));
      while (isRunning) {
        await rename(join(inside, "d"), join(guest.folder, "aside")).catch(() => {});
        await rename(join(guest.folder, "link"), join(inside, "d")).catch(() => {});
        await rename(join(inside, "d"), join(guest.folder, "link")).catch(() => {});
        await rename(join(guest.folder, "aside"), join(inside, "d")).catch(() => {});
      }
    })();
    const codes = new Set<string>();
    for (let round = 0; round < 300; round++) {
      const path = join(inside, "d/status");
      const outcome = await write(guest.client, path, "mine")
        .then(
          () =>
            read(guest.client, path).then(({ text }) =>
              text === "mine" ? "written" : `read ${text.slice(0, 20)}`,
            ),
          (error: { code: string }) => error.code,
        )
        .catch((error: { code: string }) => error.code);
      codes.add(outcome);
    }
    isRunning = false;
    await swapping;
    for (const code of ["written", "file.denied", "file.not_found", "file.not_directory"]) codes.delete(code);
    expect([...codes]).toEqual([]);
  });
});

describe("creating, renaming, deleting", () => {
  it("creates files and folders, with parents when asked", async () => {
    await using guest = await testGuest();
    const path = join(guest.folder, "a/b/c.txt");
    await expect(call(guest.client, filesCreate, { path, kind: "file" })).rejects.toEqual(
      failure("file.not_found"),
    );
    expect(await call(guest.client, filesCreate, { path, kind: "file", withParents: true })).toMatchObject({
      name: "c.txt",
      kind: "file",
      sizeBytes: 0,
    });
    await expect(call(guest.client, filesCreate, { path, kind: "directory" })).rejects.toEqual(
      failure("file.exists"),
    );
    expect(
      await call(guest.client, filesCreate, { path: join(guest.folder, "d"), kind: "directory" }),
    ).toMatchObject({
      kind: "directory",
    });
  });

  it("renames files, folders and links, and replaces only when told to", async () => {
    await using guest = await testGuest();
    const at = (name: string) => join(guest.folder, name);
    const move = (from: string, to: string, overwrite = false) =>
      call(guest.client, filesRename, { from: at(from), to: at(to), overwrite });
    await writeFile(at("f"), "f");
    await writeFile(at("g"), "g");
    await mkdir(at("d/sub"), { recursive: true });
    await mkdir(at("e"));
    await symlink("nowhere", at("l"));
    await expect(move("f", "g")).rejects.toEqual(failure("file.exists"));
    await expect(move("d", "e")).rejects.toEqual(failure("file.exists"));
    await expect(move("d", "d/sub/x")).rejects.toEqual(failure("file.name_invalid"));
    await expect(move("none", "x")).rejects.toEqual(failure("file.not_found"));
    expect(await move("f", "g", true)).toMatchObject({ name: "g" });
    expect(await readFile(at("g"), "utf8")).toBe("f");
    await move("d", "d2");
    await move("l", "l2");
    expect((await readdir(guest.folder)).sort()).toEqual(["d2", "e", "g", "l2"]);
    expect(await readdir(at("d2"))).toEqual(["sub"]);
    expect((await lstat(at("l2"))).isSymbolicLink()).toBe(true);
  });

  it("deletes a deep tree without following links out of it", async () => {
    await using guest = await testGuest();
    const at = (name: string) => join(guest.folder, name);
    await mkdir(at("keep"));
    await writeFile(at("keep/safe"), "safe");
    await mkdir(at("tree"));
    await symlink("../keep", at("tree/out"));
    await link(at("keep/safe"), at("tree/hard"));
    // Deeper than any path can say, so that it can only be made, and deleted, relative to itself.
    execFileSync("perl", [
      "-e",
      'chdir shift; for (1..1500) { mkdir "n"; chdir "n"; open F, ">f" }',
      at("tree"),
    ]);
    await expect(call(guest.client, filesDelete, { path: at("tree"), recursive: false })).rejects.toEqual(
      failure("file.not_empty"),
    );
    await call(guest.client, filesDelete, { path: at("tree"), recursive: true });
    expect(await readdir(guest.folder)).toEqual(["keep"]);
    expect(await readFile(at("keep/safe"), "utf8")).toBe("safe");
    await expect(call(guest.client, filesDelete, { path: at("tree"), recursive: true })).rejects.toEqual(
      failure("file.not_found"),
    );
    await expect(call(guest.client, filesDelete, { path: "/", recursive: true })).rejects.toEqual(
      failure("file.denied"),
    );
  });
});

describe("watching", () => {
  async function watch(guest: TestGuest, ...paths: string[]) {
    const channel = await openChannel(guest.client, filesWatch, { paths });
    const items = channel.items();
    const next = async () => {
      const { value } = await items.next();
      return (value as { value: Record<string, unknown> }).value;
    };
    return { ...channel, next };
  }

  it("tells creations, changes and deletions of the named folders, batched", async () => {
    await using guest = await testGuest();
    const at = (name: string) => join(guest.folder, name);
    await mkdir(at("sub"));
    const watching = await watch(guest, guest.folder);
    await writeFile(at("sub/unseen"), "");
    await writeFile(at("a"), "1");
    expect(await watching.next()).toEqual({ type: "changes", changes: [{ path: at("a"), kind: "created" }] });
    await writeFile(at("a"), "2");
    expect(await watching.next()).toEqual({ type: "changes", changes: [{ path: at("a"), kind: "changed" }] });
    await rm(at("a"));
    expect(await watching.next()).toEqual({ type: "changes", changes: [{ path: at("a"), kind: "deleted" }] });
    await watching.sendEvent({ type: "add", path: at("sub") });
    await watching.sendEvent({ type: "remove", path: guest.folder });
    await watching.sendEvent({ type: "add", path: at("absent") });
    expect(await watching.next()).toEqual({ type: "failed", path: at("absent"), code: "file.not_found" });
    await writeFile(at("b"), "");
    await write(guest.client, at("sub/unseen"), "seen");
    expect(await watching.next()).toEqual({
      type: "changes",
      changes: [{ path: at("sub/unseen"), kind: "created" }],
    });
    watching.stream.end();
    expect(await watching.stream.closed).toBeUndefined();
  });

  it("says that a watched folder is gone", async () => {
    await using guest = await testGuest();
    const path = join(guest.folder, "d");
    await mkdir(path);
    const watching = await watch(guest, path);
    await rm(path, { recursive: true });
    expect(await watching.next()).toEqual({ type: "failed", path, code: "file.not_found" });
  });

  it("goes on watching when another folder takes the place of one", async () => {
    await using guest = await testGuest();
    const path = join(guest.folder, "d");
    await mkdir(path);
    await mkdir(join(guest.folder, "new"));
    const watching = await watch(guest, path);
    // Within one batch, so that the path is never seen empty.
    renameSync(path, join(guest.folder, "old"));
    renameSync(join(guest.folder, "new"), path);
    expect(await watching.next()).toEqual({ type: "overflow" });
    await writeFile(join(path, "later"), "");
    expect(await watching.next()).toEqual({
      type: "changes",
      changes: [{ path: join(path, "later"), kind: "created" }],
    });
  });

  it("announces a flood of changes as overflow", async () => {
    await using guest = await testGuest();
    const watching = await watch(guest, guest.folder);
    execFileSync("bash", ["-c", 'cd "$0" && for i in $(seq 1500); do : > f$i; done', guest.folder]);
    expect(await watching.next()).toEqual({ type: "overflow" });
  });

  it("refuses more watches than a session may have", async () => {
    await using guest = await testGuest();
    await mkdir(join(guest.folder, "many"));
    const names = Array.from({ length: WATCHES_PER_SESSION + 1 }, (_, index) =>
      join(guest.folder, "many", `${index}`),
    );
    for (const name of names) await mkdir(name);
    const watching = await watch(guest, ...names.slice(0, 1000));
    for (const path of names.slice(1000)) await watching.sendEvent({ type: "add", path });
    expect(await watching.next()).toEqual({ type: "failed", path: names.at(-1), code: "file.watch_limit" });
    watching.stream.end();
    await watching.stream.closed;
  });
});
