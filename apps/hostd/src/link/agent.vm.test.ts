import { copyFile, mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { call, openChannel } from "@atoll/protocol/call";
import { coreActivity, corePing, coreQuiesce, coreScrub, coreThaw } from "@atoll/protocol/messages/core";
import { filesCreate, filesDelete, filesList, filesRead } from "@atoll/protocol/messages/files";
import { terminalAttach, terminalClose, terminalOpen } from "@atoll/protocol/messages/terminal";
import { filesPack, filesUnpack, filesUsage, viewMount } from "@atoll/protocol/messages/views";
import type { Mux } from "@atoll/protocol/mux";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { formatDisk } from "../disks/format-disk.ts";
import { BareGuest } from "../testing/bare-guest.ts";
import { VmTestHost } from "../testing/vm-test-host.ts";

const SLOW = { timeoutMs: 60_000 };
let host: VmTestHost;
let folder: string;
let diskPath: string;

beforeAll(async () => {
  host = await VmTestHost.open();
  folder = await mkdtemp(join(tmpdir(), "atoll-agent-vm-"));
  diskPath = join(folder, "disk.raw");
  await formatDisk(diskPath, 1024);
});

afterAll(async () => {
  await host?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const activity = (mux: Mux) => call(mux, coreActivity, {}, SLOW);

async function shell(mux: Mux) {
  const { terminalId } = await call(mux, terminalOpen, { cols: 80, rows: 24 }, SLOW);
  const { stream } = await openChannel(mux, terminalAttach, { terminalId }, SLOW);
  void (async () => {
    try {
      for await (const _item of stream) {
        // Read, so that the terminal goes on.
      }
    } catch {
      // It is being closed.
    }
  })();
  return {
    terminalId,
    type: (text: string) => stream.write(Buffer.from(text)),
    close: () => call(mux, terminalClose, { terminalId }, SLOW),
  };
}

async function readText(mux: Mux, path: string): Promise<string> {
  const { stream } = await openChannel(mux, filesRead, { path }, SLOW);
  let text = "";
  for await (const item of stream) if (item.kind === "data") text += Buffer.from(item.bytes).toString();
  return text;
}

async function pack(mux: Mux, root: string, paths: string[], format: "tar" | "zip") {
  const channel = await openChannel(mux, filesPack, { root, paths, format }, SLOW);
  const chunks: Uint8Array[] = [];
  let skippedCount: number | undefined;
  for await (const item of channel.items()) {
    if (item.kind === "data") chunks.push(item.bytes);
    else skippedCount = item.value.skippedCount;
  }
  return { bytes: Buffer.concat(chunks), skippedCount };
}

/** Share of one processor that everybody but the agent used over a while. */
async function load(mux: Mux, spanMs: number): Promise<number> {
  const before = await activity(mux);
  const startedMs = performance.now();
  await delay(spanMs);
  const after = await activity(mux);
  return (after.cpuMs - before.cpuMs) / (performance.now() - startedMs);
}

describe("the agent in its guest", () => {
  let guest: BareGuest;

  beforeAll(async () => {
    guest = await BareGuest.boot({ host, folder, diskPath });
  });
  afterAll(() => guest?.[Symbol.asyncDispose]());

  it("sees a foreground job from its start to its end, and no prompt", async () => {
    const terminal = await shell(guest.mux);
    await expect.poll(async () => (await activity(guest.mux)).foreground, { timeout: 60_000 }).toEqual([]);
    await terminal.type("sleep 1000\n");
    await expect
      .poll(async () => (await activity(guest.mux)).foreground, { timeout: 60_000 })
      .toEqual([{ terminalId: terminal.terminalId, command: "sleep" }]);
    await terminal.type("\x03");
    await expect.poll(async () => (await activity(guest.mux)).foreground, { timeout: 60_000 }).toEqual([]);
    await terminal.close();
  });

  it("is hardly any load while idle, asked or not, and a busy loop is", async () => {
    await expect.poll(() => load(guest.mux, 3000), { timeout: 90_000, interval: 10 }).toBeLessThan(0.05);
    const terminal = await shell(guest.mux);
    await terminal.type("while :; do :; done\n");
    await expect.poll(() => load(guest.mux, 2000), { timeout: 60_000, interval: 10 }).toBeGreaterThan(0.3);
    await terminal.close();
    await guest.run("pkill", "-x", "bash");
  });

  it("lets nothing of a user's run from quiescing to thawing, wherever it was started", async () => {
    const files = ["terminal", "daemon", "group"].map((name) => `/dev/shm/${name}`);
    const [inTerminal, asDaemon, inGroup] = files.map((path) => `while :; do echo >>${path}; done`);
    const terminal = await shell(guest.mux);
    await terminal.type(`${inTerminal}\n`);
    const inBackground = (script: string) =>
      guest.run("sh", "-c", `setsid sudo sh -c '${script}' >/dev/null 2>&1 &`);
    await inBackground(asDaemon ?? "");
    const group = "/sys/fs/cgroup/theirs";
    await inBackground(`mkdir ${group}; echo $$ >${group}/cgroup.procs; ${inGroup}`);
    // In memory: the disk stands still anyway. What the host has run meanwhile is no user's.
    const counts = async () =>
      (await guest.run("stat", "-c", "%s", ...files)).output.split("\n").filter(Boolean).map(Number);
    const areAbove = async (least: readonly number[]) => {
      const now = await counts();
      return now.length === files.length && now.every((size, index) => size > (least[index] ?? 0));
    };
    await expect.poll(() => areAbove([]), { timeout: 120_000 }).toBe(true);

    // Twice: the second time the agent is apart from them already, having started nothing between.
    for (const round of [1, 2]) {
      expect(await call(guest.mux, coreQuiesce, {}, SLOW), `round ${round}`).toEqual({ frozen: true });
      const still = await counts();
      // A loop that ran would count on between any two of these.
      for (let pings = 0; pings < 100; pings++) await call(guest.mux, corePing, {}, SLOW);
      expect(await counts()).toEqual(still);
      await call(guest.mux, coreThaw, {}, SLOW);
      if (round === 1) continue;
      await expect.poll(() => areAbove(still), { timeout: 60_000 }).toBe(true);
    }
    // And what is started now is among them again.
    expect((await guest.run("cat", "/proc/self/cgroup")).output).toBe("0::/user\n");
    await guest.run("sudo", "pkill", "-f", "/dev/shm/");
    await terminal.close();
  });

  it("shows no file system of the kernel, under whatever name", async () => {
    await guest.run("sudo", "mkdir", "/mnt/kernel");
    for (const folder of ["/proc", "/sys", "/dev"]) {
      expect((await guest.run("sudo", "mount", "--bind", folder, "/mnt/kernel")).exitCode).toBe(0);
      const listed = call(guest.mux, filesList, { path: "/mnt/kernel" }, SLOW);
      await expect(listed).rejects.toMatchObject({ code: "file.denied" });
      await guest.run("sudo", "umount", "/mnt/kernel");
    }
    expect((await call(guest.mux, filesList, { path: "/mnt/kernel" }, SLOW)).entries).toEqual([]);
  });

  it("knows the leases that `atoll keep-awake` makes", async () => {
    const made = await guest.run("atoll", "keep-awake", "2h", "nightly", "tests");
    expect(made).toMatchObject({ exitCode: 0, output: expect.stringMatching(/stays awake until/) });
    const [lease] = (await activity(guest.mux)).leases;
    expect(lease?.detail).toBe("nightly tests");
    const nowMs = Number((await guest.run("date", "+%s")).output) * 1000;
    expect((lease?.untilMs ?? 0) - nowMs).toBeGreaterThan(7_100_000);
    expect((lease?.untilMs ?? 0) - nowMs).toBeLessThanOrEqual(7_200_000);
    expect((await guest.run("atoll", "status")).output).toMatch(/nightly tests[\s\S]*Memory: \d+ of \d+ MB/);
    expect(await guest.run("atoll", "keep-awake", "soon")).toMatchObject({
      exitCode: 2,
      errors: expect.stringMatching(/'soon' is no time/),
    });
    await call(guest.mux, coreActivity, { keepAwakeMaxSeconds: 7200 });
    expect(await guest.run("atoll", "keep-awake", "8h")).toMatchObject({
      exitCode: 0,
      output: expect.stringMatching(/: 2h, the most its plan allows \(8h was asked for\)/),
    });
    expect((await guest.run("atoll", "keep-awake", "off")).exitCode).toBe(0);
    expect((await activity(guest.mux)).leases).toEqual([]);
  });

  it("tells what is big, in the user's own files and on the whole disk", async () => {
    await guest.run(
      "sh",
      "-c",
      "mkdir -p /workspace/big && head -c 30000000 /dev/urandom >/workspace/big/blob",
    );
    const { entries, diskTotalBytes, diskFreeBytes } = await call(
      guest.mux,
      filesUsage,
      { path: "/workspace", depth: 2 },
      SLOW,
    );
    expect(entries.slice(0, 2)).toMatchObject([
      { path: "/workspace/big", isFolder: true },
      { path: "/workspace/big/blob", isFolder: false },
    ]);
    expect(entries[1]?.sizeBytes).toBeGreaterThanOrEqual(30_000_000);
    expect(diskTotalBytes).toBeGreaterThan(diskFreeBytes);
    const whole = await call(guest.mux, filesUsage, { path: "/", depth: 1 }, SLOW);
    expect(whole.entries.some(({ path }) => path === "/proc" || path === "/run")).toBe(false);
  });

  it("packs and unpacks with owners, modes and links; a zip is what unzip takes", async () => {
    const make = [
      "mkdir -p /workspace/app/bin && cd /workspace/app && echo hi >bin/run && chmod 750 bin/run && ln -s bin/run link",
      "sudo sh -c 'echo root >/workspace/app/owned && chmod 600 /workspace/app/owned' && mkfifo /workspace/app/fifo",
    ].join(" && ");
    expect((await guest.run("sh", "-c", make)).exitCode).toBe(0);
    const tar = await pack(guest.mux, "/", ["workspace/app"], "tar");
    expect(tar.skippedCount).toBe(0);
    await guest.run("sudo", "rm", "-rf", "/workspace/app");
    const unpack = await openChannel(guest.mux, filesUnpack, { root: "/" }, SLOW);
    await unpack.stream.write(tar.bytes);
    unpack.stream.end();
    const events = [];
    for await (const item of unpack.items()) events.push(item);
    expect(events).toEqual([{ kind: "event", value: { type: "unpacked" } }]);
    const facts = await guest.run(
      "sh",
      "-c",
      "cd /workspace/app; stat -c '%n %U %a %F' bin/run owned link; cat link",
    );
    expect(facts.output).toBe(
      "bin/run dev 750 regular file\nowned root 600 regular file\nlink dev 777 symbolic link\nhi\n",
    );
    const zip = await pack(guest.mux, "/workspace", ["app"], "zip");
    expect(zip.skippedCount).toBe(0);
    const stream = guest.mux.open("files.write", {
      path: "/workspace/app.zip",
      sizeBytes: zip.bytes.length,
      expect: "any",
    });
    await stream.write(zip.bytes);
    stream.end();
    await stream.reply;
    const listed = await guest.run(
      "sh",
      "-c",
      "cd /tmp && unzip -q -o /workspace/app.zip && cat app/link app/owned; rm /workspace/app.zip",
    );
    expect(listed).toMatchObject({ output: "hi\nroot\n", exitCode: 0 });
  });

  it("scrubs what no template may hold, through the overlay, and leaves the rest", async () => {
    const plant = [
      "mkdir -p ~/.ssh ~/.aws /workspace/site && echo key >~/.ssh/id_ed25519 && echo k >~/.aws/credentials",
      "echo 'TOKEN=marker-7f3a' >/workspace/site/.env && echo history >~/.bash_history && echo page >/workspace/site/index.html",
      "printf '//r.example/:_authToken=abc\\nfund=false\\n' >~/.npmrc && echo x >/tmp/scratch",
      // In memory by itself; whoever puts a file there gets it scrubbed.
      "sudo sh -c 'rm /etc/machine-id; echo their-own >/etc/machine-id' && sync",
    ].join(" && ");
    expect((await guest.run("sh", "-c", plant)).exitCode).toBe(0);
    const { files, count } = await call(guest.mux, coreScrub, {}, { timeoutMs: 120_000 });
    expect(count).toBe(files.length);
    const rules = new Map(files.map(({ path, rule }) => [path, rule]));
    expect(Object.fromEntries(rules)).toMatchObject({
      "/home/dev/.ssh": "ssh",
      "/home/dev/.aws": "cloud-credentials",
      "/home/dev/.bash_history": "history",
      "/home/dev/.npmrc": "npm-token",
      "/workspace/site/.env": "environment",
      "/tmp": "temporary",
      "/etc/machine-id": "machine-identity",
    });
    const left = await guest.run(
      "sh",
      "-c",
      "ls -A ~/.ssh ~/.aws /tmp; cat ~/.npmrc /workspace/site/index.html /etc/machine-id",
    );
    expect(left.output).toBe("/tmp:\nfund=false\npage\n");
    const disk = "/dev/$(basename $(dirname $(grep -lx disk /sys/block/vd*/serial)))";
    const onDisk = await guest.run("sh", "-c", `sync; sudo grep -c marker-7f3a ${disk}`);
    expect(onDisk).toMatchObject({ output: "0\n", errors: "" });
    expect((await call(guest.mux, coreScrub, {}, { timeoutMs: 120_000 })).count).toBe(0);
  });

  it("has no view where no disk is attached", async () => {
    await expect(call(guest.mux, viewMount, {}, SLOW)).rejects.toMatchObject({ code: "view.unavailable" });
    await guest.run("sh", "-c", "echo last >/workspace/last && sudo rm /etc/motd; sync");
  });
});

describe("a view", () => {
  it("shows the disk of a machine that lost its power, read-only", async () => {
    const own = join(folder, "own.raw");
    await formatDisk(own, 512);
    await using viewer = await BareGuest.boot({ host, folder, diskPath: own, viewPath: diskPath });
    const { mux } = viewer;
    expect(await call(mux, viewMount, {}, { timeoutMs: 120_000 })).toEqual({ isRepaired: false });
    expect(await call(mux, viewMount, {}, SLOW)).toEqual({ isRepaired: false });
    expect(await readText(mux, "/view/workspace/last")).toBe("last\n");
    const { entries } = await call(mux, filesList, { path: "/view/workspace" }, SLOW);
    expect(entries.map(({ name }) => name).sort()).toEqual(["app", "big", "last", "site"]);
    // What the image brought and the user removed stays removed; what the user left alone is there.
    await expect(readText(mux, "/view/etc/motd")).rejects.toMatchObject({ code: "file.not_found" });
    expect(await readText(mux, "/view/etc/hosts")).toMatch(/localhost/);
    for (const attempt of [
      call(mux, filesCreate, { path: "/view/workspace/new", kind: "file" }, SLOW),
      call(mux, filesDelete, { path: "/view/workspace/last", recursive: false }, SLOW),
      openChannel(mux, filesUnpack, { root: "/view" }, SLOW),
    ]) {
      await expect(attempt).rejects.toMatchObject({ code: "view.read_only" });
    }
    expect((await viewer.run("sudo", "touch", "/view/workspace/new")).exitCode).toBe(1);
    expect((await viewer.run("pwd")).output).toBe("/view/workspace\n");
    expect((await viewer.run("ls", "/run/atoll/view/disk")).exitCode).not.toBe(0);
    const { skippedCount, bytes } = await pack(mux, "/view", ["workspace/app"], "tar");
    expect(skippedCount).toBe(0);
    expect(bytes.includes("workspace/app/owned")).toBe(true);
    const usage = await call(mux, filesUsage, { path: "/view/workspace", depth: 1 }, SLOW);
    expect(usage.entries[0]?.path).toBe("/view/workspace/big");
    expect(usage.diskTotalBytes).toBeGreaterThan(900_000_000);
  });

  it("shows what a repair could save of a damaged disk, and changes nothing on it", async () => {
    const damaged = join(folder, "damaged.raw");
    await copyFile(diskPath, damaged);
    await using file = await open(damaged, "r+");
    // The superblock and the first group descriptors.
    await file.write(Buffer.alloc(3 * 1024, 0xff), 0, undefined, 1024);
    await file.sync();
    const own = join(folder, "own-2.raw");
    await formatDisk(own, 512);
    await using viewer = await BareGuest.boot({ host, folder, diskPath: own, viewPath: damaged });
    expect(await call(viewer.mux, viewMount, {}, { timeoutMs: 180_000 })).toEqual({ isRepaired: true });
    expect(await readText(viewer.mux, "/view/workspace/last")).toBe("last\n");
    const { buffer } = await file.read(Buffer.alloc(1024), 0, 1024, 1024);
    expect(buffer.equals(Buffer.alloc(1024, 0xff))).toBe(true);
  });
});
