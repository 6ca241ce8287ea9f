import { existsSync, readFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import type { Clock } from "@atoll/base/clock";
import { AtollError } from "@atoll/protocol/atoll-error";
import { VIEW_ROOT } from "@atoll/protocol/messages/views";
import type { Log } from "../log.ts";
import type { FindTool } from "../system/base-tool.ts";
import { findDisk } from "../system/find-disk.ts";
import { runTool } from "../system/run-tool.ts";

const SERIAL = "view";
const MOUNT_TIMEOUT_MS = 60_000;
/** A damaged disk of some ten gigabytes, looked through under emulation. */
const CHECK_TIMEOUT_MS = 600_000;
/** Below it e2fsck did its work, though perhaps not all of it: whether that is enough, mounting tells. */
const CHECK_FAILED_FROM = 8;

export interface ViewOptions {
  clock: Clock;
  log: Log;
  tool: FindTool;
  /** The image's read-only base, where the disk's overlay had its own. */
  base: string;
  /** A folder of root's: the bare disk is nobody's way around the view. */
  privateFolder: string;
}

/** The attached disk as files below VIEW_ROOT. Mounted once; whoever asks again gets the same. */
export class GuestView {
  readonly #options: ViewOptions;
  #mounting: Promise<{ isRepaired: boolean }> | undefined;
  #isMounted: boolean;

  constructor(options: ViewOptions) {
    this.#options = options;
    // By an earlier life of this agent.
    this.#isMounted = readFileSync("/proc/self/mountinfo", "latin1").includes(` / ${VIEW_ROOT} `);
    if (this.#isMounted) this.#mounting = Promise.resolve({ isRepaired: false });
  }

  get isMounted(): boolean {
    return this.#isMounted;
  }

  /** @throws AtollError view.unavailable */
  mount(): Promise<{ isRepaired: boolean }> {
    this.#mounting ??= this.#mount().catch((cause: unknown) => {
      this.#mounting = undefined;
      throw cause;
    });
    return this.#mounting;
  }

  async #mount(): Promise<{ isRepaired: boolean }> {
    const { base, privateFolder } = this.#options;
    const device = findDisk(SERIAL);
    if (device === undefined) throw new AtollError("view.unavailable", "no disk is attached");
    const disk = `${privateFolder}/disk`;
    await mkdir(privateFolder, { recursive: true, mode: 0o700 });
    await mkdir(disk, { recursive: true });
    await mkdir(VIEW_ROOT, { recursive: true, mode: 0o755 });
    // Read-only replays the journal all the same; without it, what was synced last would be missing.
    const mountDisk = (options: string) =>
      this.#run(["mount", "-t", "ext4", "-o", `ro,nodev,nosuid,noatime${options}`, device, disk]);
    const isRepaired = !(await mountDisk(""));
    if (isRepaired) {
      const isChecked = await this.#repair(device);
      // As it lies there: on a host whose disk is full not even the replay can be written.
      if (!(isChecked && (await mountDisk(""))) && !(await mountDisk(",noload")))
        throw new AtollError("view.unavailable", "the disk cannot be mounted");
    }
    // A repair may have moved everything to lost+found: then that is what there is to see.
    const isWhole = existsSync(`${disk}/upper`);
    const overlay = [
      "mount",
      "-t",
      "overlay",
      "-o",
      `ro,nodev,nosuid,lowerdir=${disk}/upper:${base}`,
      "view",
      VIEW_ROOT,
    ];
    const bare = ["mount", "-o", "bind", disk, VIEW_ROOT];
    if (!(await this.#run(isWhole ? overlay : bare))) {
      throw new AtollError("view.unavailable", "the view cannot be put together");
    }
    this.#isMounted = true;
    return { isRepaired };
  }

  /** False when it could not be done. */
  async #repair(device: string): Promise<boolean> {
    const { clock, log, tool } = this.#options;
    const result = await runTool([...tool("sbin/e2fsck"), "-f", "-y", device], {
      clock,
      timeoutMs: CHECK_TIMEOUT_MS,
    });
    const isDone = result.exitCode !== null && result.exitCode < CHECK_FAILED_FROM;
    if (!isDone) log(`e2fsck ended with ${result.exitCode}: ${result.tail}`);
    return isDone;
  }

  async #run(words: string[]): Promise<boolean> {
    const { base, clock, log } = this.#options;
    const argv = [`${base}/usr/bin/busybox`, ...words];
    const { exitCode, tail } = await runTool(argv, { clock, timeoutMs: MOUNT_TIMEOUT_MS });
    if (exitCode !== 0) log(`${words.join(" ")}: ${exitCode}: ${tail}`);
    return exitCode === 0;
  }
}
