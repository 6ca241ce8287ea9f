/**
 * Whether KVM is usable is found out by booting a guest kernel under it: the device node alone proves nothing, there are
 * hosts where it opens, the firmware runs, and Linux hangs.
 */
import { spawn } from "node:child_process";
import { access, constants, readFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { Readable } from "node:stream";
import { type Clock, systemClock } from "@atoll/base/clock";
import { makeDirectory } from "@atoll/durable/make-directory";
import { replaceFile } from "@atoll/durable/replace-file";
import { z } from "zod";
import { hostBootId } from "./process-identity.ts";
import type { Accelerator } from "./qemu-arguments.ts";

export interface ProbeOptions {
  /** Runs QEMU on this machine, without a jail: the probe's guest is a kernel without a disk. */
  qemuCommand: readonly [string, ...string[]];
  /** Part of the answer's identity: another QEMU is probed again. */
  vmmKey: string;
  kernelPath: string;
  /** Keeps the answer until the host reboots. */
  cachePath: string;
  clock?: Clock;
}

/** A kernel under working KVM prints its first line within a second. */
const FIRST_LINE_TIMEOUT_MS = 8000;
const FIRST_LINE = "Linux version";
/** Firmware and boot loader say less. */
const OUTPUT_MAX_CHARACTERS = 64 * 1024;

const probeResult = z.strictObject({
  hostBootId: z.string(),
  vmmKey: z.string(),
  accelerator: z.enum(["kvm", "tcg"]),
});

export async function chooseAccelerator(options: ProbeOptions): Promise<Accelerator> {
  const { vmmKey, cachePath } = options;
  const identity = { hostBootId: hostBootId(), vmmKey };
  const cached = probeResult.safeParse(await readJson(cachePath));
  if (cached.success && cached.data.hostBootId === identity.hostBootId && cached.data.vmmKey === vmmKey) {
    return cached.data.accelerator;
  }
  const accelerator = (await isKvmUsable(options)) ? "kvm" : "tcg";
  await makeDirectory(dirname(cachePath));
  await replaceFile(
    cachePath,
    JSON.stringify({ ...identity, accelerator } satisfies z.infer<typeof probeResult>),
  );
  return accelerator;
}

async function isKvmUsable(options: ProbeOptions): Promise<boolean> {
  try {
    await access("/dev/kvm", constants.R_OK | constants.W_OK);
  } catch {
    return false;
  }
  const [program, ...rest] = options.qemuCommand;
  const child = spawn(
    program,
    [
      ...rest,
      ...["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
      ...["-machine", "q35", "-accel", "kvm", "-cpu", "host", "-smp", "1", "-m", "256"],
      ...["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"],
      ...["-kernel", options.kernelPath, "-append", "console=ttyS0 earlyprintk=ttyS0 panic=1"],
      ...["-serial", "stdio"],
    ],
    { stdio: ["ignore", "pipe", "ignore"] },
  );
  const cancel = (options.clock ?? systemClock).schedule(FIRST_LINE_TIMEOUT_MS, () => child.kill("SIGKILL"));
  const failedToStart = new Promise<false>((resolve) => child.once("error", () => resolve(false)));
  try {
    return await Promise.race([printsFirstLine(child.stdout), failedToStart]);
  } finally {
    cancel();
    child.kill("SIGKILL");
  }
}

async function printsFirstLine(output: Readable): Promise<boolean> {
  let text = "";
  for await (const chunk of output) {
    text += String(chunk);
    if (text.includes(FIRST_LINE)) return true;
    if (text.length > OUTPUT_MAX_CHARACTERS) return false;
  }
  return false;
}

async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, "utf8"));
  } catch {
    // Absent or unreadable: probed again.
    return undefined;
  }
}
