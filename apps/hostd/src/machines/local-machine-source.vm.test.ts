import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { cp, readdir, readFile, readlink, stat } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { deriveKey } from "@atoll/keys/derive-key";
import type { LocalKeyStore } from "@atoll/keys/local-key-store";
import { afterAll, beforeAll, expect, test } from "vitest";
import { DiskDirectory } from "../disks/disk-directory.ts";
import { unwrapLayers } from "../disks/layer-keys.ts";
import { GuestProbe } from "../testing/guest-probe.ts";
import type { VmTestHost } from "../testing/vm-test-host.ts";
import { VmTestSource } from "../testing/vm-test-source.ts";
import type { LocalMachineSource } from "./local-machine-source.ts";
import type { CreatedMachine } from "./machine-source.ts";

const run = promisify(execFile);
const PATIENCE = { timeout: 20_000 };

let opened: VmTestSource;
let host: VmTestHost;
let keys: LocalKeyStore;
let source: LocalMachineSource;

beforeAll(async () => {
  opened = await VmTestSource.open();
  ({ host, keys, source } = opened);
});
afterAll(() => opened?.[Symbol.asyncDispose]());

async function startCreated(created: CreatedMachine, linkToken: string): Promise<GuestProbe> {
  return GuestProbe.start(created.machine, {
    reason: "create",
    expectedToken: created.linkToken,
    linkToken,
  });
}

test("a workspace lives through pause, resume and boot without leaving anything readable, until it is destroyed", async () => {
  const request = opened.newRequest();
  const linkToken = randomBytes(32).toString("hex");
  const created = await source.create(request);
  let guest = await startCreated(created, linkToken);
  const key = await keys.unwrapWorkspaceKey(request);
  const layerKeys = await layerKeysOf(created.disk.diskId, key);
  await expectJailed(created.machine.record.pid, [key, deriveKey(key, "layer-wrap"), ...layerKeys]);

  // The marker is put together in the guest, so that no command line or log of ours holds it.
  const [left, right] = [randomBytes(12).toString("hex"), randomBytes(12).toString("hex")];
  const marker = `${left}-${right}`;
  await guest.shell(`m=${left}; m=$m-${right}; echo $m >/dev/shm/marker; echo $m >~/marker; sync`);
  const counterPid = await guest.shell(
    "setsid sh -c 'while :; do n=$((n+1)); echo $n >/dev/shm/ticks; sleep 0.1; done' >/dev/null 2>&1 & echo $!",
  );
  expect(await guest.quiesce()).toBe(true);
  guest.close();
  const { pid } = created.machine.record;
  await created.machine.stop();
  const snapshot = await source.seal(request, created.disk, created.machine);
  await expectGone(pid);
  expect(await source.findSnapshot(request.workspaceId, created.disk)).toEqual(snapshot);
  expect(await filesWith(marker)).toEqual([]);
  await expectPrivate(host.dataDirectory);

  const resumed = await source.resume(request, created.disk, snapshot);
  expect(resumed.disk.epoch).toBe(created.disk.epoch + 1);
  guest = await GuestProbe.start(resumed.machine, { reason: "resume", expectedToken: linkToken, linkToken });
  const before = Number(await guest.shell("cat /dev/shm/ticks"));
  expect(await guest.shell("cat /dev/shm/marker ~/marker")).toBe(`${marker}\n${marker}`);
  // The very process, still at it.
  const wait = `until [ $(cat /dev/shm/ticks) -gt ${before} ]; do sleep 0.05; done`;
  expect(await guest.shell(`kill -0 ${counterPid} && ${wait} && cat /proc/${counterPid}/comm`)).toBe("sh");
  guest.close();
  await resumed.machine.kill();
  for (const disk of [created.disk, resumed.disk]) {
    await expect(source.resume(request, disk, snapshot)).rejects.toMatchObject({ code: "snapshot.invalid" });
  }

  const booted = await source.boot(request, resumed.disk);
  expect(booted.disk.epoch).toBe(resumed.disk.epoch + 1);
  guest = await GuestProbe.start(booted.machine, { reason: "boot", expectedToken: booted.linkToken });
  expect(await guest.shell("cat ~/marker; ls /dev/shm")).toBe(marker);
  guest.close();
  await booted.machine.kill();

  const stolen = join(host.dataDirectory, "stolen");
  const workspace = join(host.dataDirectory, "workspaces", booted.disk.diskId);
  await cp(workspace, stolen, { recursive: true });
  const times = await source.destroy(request.workspaceId, request.ownerId, booted.disk);
  expect(await source.destroy(request.workspaceId, request.ownerId, booted.disk)).toEqual(times);
  await expect(stat(workspace)).rejects.toMatchObject({ code: "ENOENT" });
  // Even with the files back, nothing on this machine opens them.
  await cp(stolen, workspace, { recursive: true });
  await expect(source.boot(request, booted.disk)).rejects.toMatchObject({ code: "key.not_found" });
  expect(await filesWith(marker)).toEqual([]);
});

test("what nobody claimed or named is gone after a restart, what the journal names stays", async () => {
  const request = opened.newRequest();
  const created = await source.create(request);
  const nameless = await source.create(opened.newRequest());
  const next = opened.another();
  await next.sweep(new Set([created.disk.diskId]));
  // Neither was adopted: both processes end, and only the named disk is kept.
  for (const { machine } of [created, nameless]) {
    await expectGone(machine.record.pid);
  }
  expect(await readdir(join(host.dataDirectory, "workspaces"))).toEqual([created.disk.diskId]);
  await next.destroy(request.workspaceId, request.ownerId, created.disk);
  await next[Symbol.asyncDispose]();
});

/** Ended; its entry goes with the wait of its parent, a moment later. */
async function expectGone(pid: number): Promise<void> {
  await expect.poll(() => stat(`/proc/${pid}`).catch((error) => error.code), PATIENCE).toBe("ENOENT");
}

async function expectJailed(pid: number, secrets: readonly Uint8Array[]): Promise<void> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  const field = (name: string) => new RegExp(`^${name}:\\t(.*)$`, "m").exec(status)?.[1];
  const uid = Number(field("Uid")?.split("\t")[0]);
  expect(uid).toBeGreaterThanOrEqual(230_000);
  expect({
    caps: field("CapEff"),
    bounding: field("CapBnd"),
    noNewPrivs: field("NoNewPrivs"),
    seccomp: field("Seccomp"),
  }).toEqual({ caps: "0".repeat(16), bounding: "0".repeat(16), noNewPrivs: "1", seccomp: "2" });
  for (const kind of ["net", "pid", "ipc", "uts", "mnt", "user"]) {
    expect(await readlink(`/proc/${pid}/ns/${kind}`), kind).not.toBe(await readlink(`/proc/self/ns/${kind}`));
  }
  expect((await readdir(`/proc/${pid}/root`)).sort()).toEqual([
    "bin",
    "dev",
    "files",
    "lib",
    "lib64",
    "usr",
    "vm",
  ]);
  expect(await readFile(`/proc/${pid}/limits`, "utf8")).toMatch(/^Max core file size +1 +1 /m);
  const kept = await readdir(`/proc/${pid}/root/vm`);
  expect(kept.filter((name) => /key/.test(name))).toEqual([]);
  const forms = secrets.flatMap((secret) => {
    const bytes = Buffer.from(secret);
    return [bytes, Buffer.from(bytes.toString("hex")), Buffer.from(bytes.toString("base64"))];
  });
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    for (const place of ["cmdline", "environ"]) {
      const bytes = await readFile(`/proc/${name}/${place}`).catch(() => Buffer.alloc(0));
      for (const form of forms) expect(bytes.includes(form), `${place} of ${name}`).toBe(false);
    }
  }
}

async function layerKeysOf(diskId: string, workspaceKey: Uint8Array): Promise<Uint8Array[]> {
  const directory = new DiskDirectory(join(host.dataDirectory, "workspaces"), diskId);
  const { layers } = await directory.read();
  return unwrapLayers(workspaceKey, diskId, layers).map(({ key }) => key);
}

/** All files of this host's directories, also those in memory, that hold the text. */
async function filesWith(text: string): Promise<string[]> {
  try {
    const { stdout } = await run("grep", ["-rlaF", "-e", text, host.dataDirectory, host.memoryDirectory]);
    return stdout.trim().split("\n");
  } catch (error) {
    if ((error as { code?: number }).code === 1) return [];
    throw error;
  }
}

/** Nothing for group and others, but for the shared files of a template in their closed directory. */
async function expectPrivate(directory: string): Promise<void> {
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const { mode } = await stat(path);
    const isShared = /\/(templates\/[0-9a-f]{32}\/(disk\.raw|ram|state)|empty-ram\/[^/]+)$/.test(path);
    // The machine's uid passes through to its layers, and can neither list nor change what is there.
    const isPassage = entry.isDirectory() && entry.name === "layers";
    expect(mode & (isShared ? 0o222 : isPassage ? 0o066 : 0o077), path).toBe(0);
  }
}
