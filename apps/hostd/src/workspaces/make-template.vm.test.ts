import { randomBytes, randomUUID } from "node:crypto";
import { join } from "node:path";
import { systemClock } from "@atoll/base/clock";
import { LocalKeyStore } from "@atoll/keys/local-key-store";
import { afterAll, beforeAll, expect, test } from "vitest";
import { LocalPoint } from "../checkpoints/local-point.ts";
import { prepareGuest } from "../link/prepare-guest.ts";
import { rehearseGuest } from "../link/rehearse-guest.ts";
import { LocalMachineSource } from "../machines/local-machine-source.ts";
import type { GuestProbe } from "../testing/guest-probe.ts";
import { LiveWorkspace } from "../testing/live-workspace.ts";
import { TEST_SIZE, VmTestHost } from "../testing/vm-test-host.ts";
import { makeTemplate, newTemplateRecord } from "./make-template.ts";

let host: VmTestHost;
let source: LocalMachineSource;
const faults: unknown[] = [];

beforeAll(async () => {
  host = await VmTestHost.open();
  const keys = await LocalKeyStore.open({ directory: join(host.dataDirectory, "keys") });
  source = new LocalMachineSource({
    ...{ dataDirectory: host.dataDirectory, hypervisor: host.hypervisor(), keys, images: host.images },
    sharedTemplatesDirectory: host.sharedTemplatesDirectory,
    ...{ qemuImgCommand: host.vmm.qemuImgCommand, scratchDirectory: host.scratchDirectory },
    ...{ prepareGuest, rehearseGuest, warm: { image: "base", size: TEST_SIZE }, poolSize: 0 },
    onFault: (error) => faults.push(error),
  });
  await source.sweep(new Set());
});
afterAll(async () => {
  await source?.[Symbol.asyncDispose]();
  await host?.[Symbol.asyncDispose]();
  expect(faults).toEqual([]);
});

/** Two cold boots, beside whatever else the machine has to do. */
const TEST_TIMEOUT_MS = 400_000;
const marker = () => randomBytes(12).toString("hex");

/** Where the files are on the user's disk, as `first count` of its blocks. */
const PLACES = `sudo filefrag -b4096 -v ~/app/gone* ~/app/stays* ~/app/.env ~/app/.git/config |
  sed -nE 's/^ *[0-9]+: +[0-9]+\\.\\. +[0-9]+: +([0-9]+)\\.\\. +[0-9]+: +([0-9]+):.*/\\1 \\2/p'`;

/** How often each word lies there, as root reads it past every file system. */
async function onDisk(guest: GuestProbe, places: string, words: readonly string[]): Promise<number[]> {
  const program = `
import sys
disk = open(sys.argv[1], "rb")
found = b""
for place in sys.argv[2].splitlines():
    first, count = map(int, place.split())
    disk.seek(first * 4096)
    found += disk.read(count * 4096)
print(*[found.count(word.encode()) for word in sys.argv[3:]])`;
  const device = `$(for d in /sys/block/vd*; do [ "$(cat $d/serial)" = disk ] && echo /dev/\${d##*/}; done)`;
  const output = await guest.shell(
    `sync; sudo blockdev --flushbufs ${device}; sudo python3 -c '${program}' ${device} '${places}' ${words.join(" ")}`,
  );
  return output.trim().split(" ").map(Number);
}

test(
  "who begins from a template finds nothing that was scrubbed or deleted, as root on the bare disk or in memory",
  async () => {
    const [deleted, scrubbed, edited, kept] = [marker(), marker(), marker(), marker()];
    const words = [deleted, scrubbed, edited, kept];
    const ownerId = randomUUID();
    const workspace = await LiveWorkspace.create(source, {
      ...{ workspaceId: randomUUID(), ownerId, image: "base", size: TEST_SIZE },
    });
    await workspace.guest.shell(`mkdir -p ~/app/.git && cd ~/app
    python3 -c 'for index in range(40): open(f"gone{index}", "w").write("${deleted}" * 170); open(f"stays{index}", "w").write("${kept}" * 170)'
    yes ${deleted} | head -c 3000000 >gone-large
    echo TOKEN=${scrubbed} >.env
    printf '[remote "origin"]\\n\\turl = https://me:${edited}@git.example/a.git\\n' >.git/config
    sync`);
    const places = await workspace.guest.shell(PLACES);
    await workspace.guest.shell("rm ~/app/gone*; sync");
    // Deleting is not enough: this is what clearing is for.
    const left = await onDisk(workspace.guest, places, words);
    expect(left[0]).toBeGreaterThan(0);
    expect(left.slice(1, 3)).toEqual([1, 1]);
    const checkpointId = await workspace.checkpoint({ withMemory: false });
    await workspace.stop();

    let record = newTemplateRecord(
      {
        ...{ templateId: randomUUID(), ownerId, workspaceId: workspace.request.workspaceId },
        ...{ checkpointId, image: "base", size: TEST_SIZE },
      },
      "00".repeat(32),
      0,
    );
    await makeTemplate({
      record,
      source,
      openPoint: () => source.openCheckpoint(workspace.owner, checkpointId, { withMemory: false }),
      note: async (patch) => {
        record = { ...record, ...patch };
      },
      clock: systemClock,
      signal: new AbortController().signal,
    });
    expect(record.scrubbed.map(({ path }) => path).toSorted()).toEqual([
      "/home/dev/app/.env",
      "/home/dev/app/.git/config",
    ]);

    const owner = { ownerId, workspaceId: record.templateId, disk: record.disk ?? workspace.disk };
    await using point = await source.openCheckpoint(owner, record.pointId);
    const memory = await memoryOf(point);
    expect(words.map((word) => memory.includes(word))).toEqual([false, false, false, false]);
    const fork = await workspace.fork({ ...workspace.request, workspaceId: randomUUID() }, point);
    const found = await onDisk(fork.guest, places, words);
    expect(found.slice(0, 3)).toEqual([0, 0, 0]);
    expect(found[3]).toBe(40 * 170);
    expect(await fork.guest.shell("cd ~/app && cat stays* | wc -c; cat .git/config")).toBe(
      `${40 * 170 * 24}\n[remote "origin"]\n\turl = https://git.example/a.git`,
    );
    expect(await fork.guest.shell("sudo dmesg | grep -c EXT4-fs.error")).toBe("0");
    await fork.stop();
    for (const one of [fork, workspace]) await one.destroy();
    await source.destroy(record.templateId, ownerId, owner.disk);
  },
  TEST_TIMEOUT_MS,
);

/** All that the template's guest had changed, as whoever begins from it gets it. */
async function memoryOf(point: unknown): Promise<Buffer> {
  if (!(point instanceof LocalPoint) || point.memory === undefined) throw new Error("no memory");
  const parts: Uint8Array[] = [];
  for await (const part of point.memory.read()) parts.push(part);
  return Buffer.concat(parts);
}
