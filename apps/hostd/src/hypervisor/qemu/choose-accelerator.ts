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
  /** Keeps the answer until the host reboots; delete the file to ask again. */
  cachePath: string;
  /** Why KVM is not used, for the log. */
  onUnusable: (reason: string) => void;
  devicePath?: string;
  clock?: Clock;
}

/** A kernel under working KVM prints its first line within a second. */
const FIRST_LINE_TIMEOUT_MS = 8000;
const FIRST_LINE = "Linux version";
const DEVICE = "/dev/kvm";
/** A host may be busy for a moment: so many starts find KVM failing before nobody asks any more. */
const TRIES = 3;
/** Firmware and boot loader say less. */
const OUTPUT_MAX_CHARACTERS = 64 * 1024;

const probeResult = z.strictObject({
  hostBootId: z.string(),
  vmmKey: z.string(),
  /** Undefined: KVM works. */
  unusable: z.string().optional(),
  failures: z.number(),
});

export async function chooseAccelerator(options: ProbeOptions): Promise<Accelerator> {
  const { vmmKey, cachePath, onUnusable } = options;
  const identity = { hostBootId: hostBootId(), vmmKey };
  const parsed = probeResult.safeParse(await readJson(cachePath));
  const isOurs = parsed.success && parsed.data.hostBootId === identity.hostBootId;
  const known = isOurs && parsed.data.vmmKey === vmmKey ? parsed.data : undefined;
  // Asking costs nothing, and rights may be given at any time: never kept.
  const closed = await whyClosed(options.devicePath ?? DEVICE);
  if (closed !== undefined) {
    onUnusable(closed);
    return "tcg";
  }
  if (known !== undefined && known.unusable === undefined) return "kvm";
  const isSettled = known !== undefined && known.failures >= TRIES;
  const unusable = isSettled ? known.unusable : await whyUnusable(options);
  if (unusable !== undefined) onUnusable(unusable);
  if (!isSettled) {
    const failures = unusable === undefined ? 0 : (known?.failures ?? 0) + 1;
    const result: z.infer<typeof probeResult> = { ...identity, unusable, failures };
    await makeDirectory(dirname(cachePath));
    await replaceFile(cachePath, JSON.stringify(result));
  }
  return unusable === undefined ? "kvm" : "tcg";
}

async function whyClosed(devicePath: string): Promise<string | undefined> {
  try {
    await access(devicePath, constants.R_OK | constants.W_OK);
    return undefined;
  } catch (error) {
    return `${devicePath} cannot be opened: ${(error as NodeJS.ErrnoException).code}`;
  }
}

/** Undefined when a kernel speaks under KVM. */
async function whyUnusable(options: ProbeOptions): Promise<string | undefined> {
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
  let isLate = false;
  const cancel = (options.clock ?? systemClock).schedule(FIRST_LINE_TIMEOUT_MS, () => {
    isLate = true;
    child.kill("SIGKILL");
  });
  const failedToStart = new Promise<string>((resolve) =>
    child.once("error", (error) => resolve(`the probe did not start: ${error.message}`)),
  );
  const answered = printsFirstLine(child.stdout).then((isThere) => {
    if (isThere) return undefined;
    return isLate
      ? `a kernel under KVM printed nothing within ${FIRST_LINE_TIMEOUT_MS / 1000} s`
      : "a kernel under KVM ended without its first line";
  });
  try {
    return await Promise.race([answered, failedToStart]);
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
