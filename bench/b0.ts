/**
 * The bare reference: what a hand-tuned script gets out of QEMU with the same template, without jail, encryption, pool or
 * hostd. RAM is a private copy-on-write map of the template's file, the devices come from its state file, and the clock
 * stops when the guest's agent has answered its handshake.
 */
import { execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createConnection, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import type { ImageFiles } from "@atoll/hostd/hypervisor/hypervisor";
import { JAIL_RUN, jailPath } from "@atoll/hostd/hypervisor/qemu/jail";
import { qemuArguments } from "@atoll/hostd/hypervisor/qemu/qemu-arguments";
import { QmpClient } from "@atoll/hostd/hypervisor/qemu/qmp-client";
import type { BuiltVmm } from "@atoll/hostd/images/built-images";
import { connectGuest } from "@atoll/hostd/link/connect-guest";
import type { Template } from "@atoll/hostd/templates/template-store";
import type { Isolation } from "@atoll/protocol/workspace-status";
import { z } from "zod";

export interface BareRestoreOptions {
  vmm: BuiltVmm;
  /** As the host runs its machines. */
  isolation: Isolation;
  image: ImageFiles;
  template: Template;
}

const DISK_FILE = "disk.qcow2";

export interface BareMachine extends AsyncDisposable {
  pid: number;
  /** From starting QEMU to the agent's first answer. */
  restoredMs: number;
  /** The link behind the handshake, paused. */
  duplex: Socket;
  /** Bytes already read behind the handshake. */
  early: Uint8Array;
  qmp: QmpClient;
}

/** A plain disk in a directory of its own, for one machine. */
export async function makeBareDisk({
  vmm,
  template,
}: Pick<BareRestoreOptions, "vmm" | "template">): Promise<string> {
  const directory = await mkdtemp("/dev/shm/atoll-b0-");
  const [qemuImg = "", ...rest] = vmm.qemuImgCommand;
  await promisify(execFile)(qemuImg, [
    ...rest,
    ...["create", "-q", "-f", "qcow2", "-u", "-F", "raw", "-b", template.diskPath],
    ...[join(directory, DISK_FILE), `${template.size.diskMb}M`],
  ]);
  return directory;
}

/** @param made by `makeBareDisk`, before the clock starts; the machine's from here on */
export async function startBareMachine(options: BareRestoreOptions, made?: string): Promise<BareMachine> {
  const { vmm, isolation, image, template } = options;
  const directory = made ?? (await makeBareDisk(options));
  const disk = join(directory, DISK_FILE);
  const [program, ...bare] = vmm.qemuCommand;
  const startedAtMs = performance.now();
  const qemu = spawn(program, [...bare, ...bareArguments(isolation, image, template, disk, directory)], {
    stdio: "inherit",
  });
  try {
    const qmp = await connected(join(directory, "qmp.sock"));
    const duplex = createConnection(join(directory, "link.sock"));
    await once(duplex, "connect");
    const loaded = new Promise<void>((resolve) => {
      qmp.onEvent(({ event, data }) => {
        if (event === "MIGRATION" && data.status === "completed") resolve();
      });
    });
    const capabilities = [{ capability: "events", state: true }];
    await qmp.execute("migrate-set-capabilities", { capabilities }, z.unknown());
    await qmp.execute("migrate-incoming", { uri: `file:${template.deviceStatePath}` }, z.unknown());
    await loaded;
    await qmp.execute("cont", {}, z.unknown());
    const { early } = await connectGuest({
      duplex,
      expectedToken: template.linkToken,
      linkToken: randomBytes(32).toString("hex"),
      reason: "create",
      identity: { workspaceId: "bare", hostname: "bare", machineId: randomBytes(16).toString("hex") },
      egress: "off",
      timeoutMs: 60_000,
    });
    const restoredMs = performance.now() - startedAtMs;
    return { pid: qemu.pid ?? 0, restoredMs, duplex, early, qmp, [Symbol.asyncDispose]: end };
  } catch (error) {
    await end();
    throw error;
  }

  async function end(): Promise<void> {
    const gone = once(qemu, "exit");
    qemu.kill("SIGKILL");
    await gone;
    await rm(directory, { recursive: true });
  }
}

/** Milliseconds of one restore. */
export async function bareRestore(options: BareRestoreOptions): Promise<number> {
  await using machine = await startBareMachine(options);
  return machine.restoredMs;
}

/**
 * Our machine's own shape, or the state would not load: with the machine's paths, unjailed, and a plain disk. Without the
 * description of its state, which the template has none of: writing one after that ends QEMU 10.0 with an assertion.
 */
function bareArguments(
  isolation: Isolation,
  image: ImageFiles,
  template: Template,
  disk: string,
  directory: string,
): string[] {
  const paths: [string, string][] = [
    [jailPath("kernel"), image.kernelPath],
    [jailPath("initramfs"), image.initramfsPath],
    [jailPath("ram"), template.ramPath],
    ...image.layerPaths.map((path, index): [string, string] => [jailPath(`layer${index}`), path]),
  ];
  const ours = qemuArguments({
    qemuPath: "",
    accelerator: isolation === "hardware" ? "kvm" : "tcg",
    size: template.size,
    kernelArguments: image.kernelArguments,
    layerCount: image.layerPaths.length,
    disk: "raw",
    view: "empty",
    ram: "private",
    isIncoming: true,
  }).slice(1);
  const sandbox = ours.indexOf("-sandbox");
  const plain = { driver: "qcow2", "node-name": "disk", file: { driver: "file", filename: disk } };
  return ours
    .filter((_, index) => ![sandbox, sandbox + 1].includes(index))
    .map((argument) => (argument.includes('"node-name":"disk"') ? JSON.stringify(plain) : argument))
    .map((argument, index, all) =>
      all[index - 1] === "-machine" ? `${argument},suppress-vmdesc=on` : argument,
    )
    .map((argument) => argument.replace(`path=${JAIL_RUN}/`, `path=${directory}/`))
    .map((argument) => paths.reduce((text, [inJail, path]) => text.replace(inJail, path), argument));
}

async function connected(path: string): Promise<QmpClient> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await QmpClient.connect(path, { timeoutMs: 3000 });
    } catch (error) {
      if (attempt > 10_000) throw error;
      await delay(1);
    }
  }
}
