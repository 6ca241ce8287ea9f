import { execFile } from "node:child_process";
import { mkdir, rm, truncate, writeFile } from "node:fs/promises";
import { promisify } from "node:util";
import type { FailingPlace } from "../hypervisor/contract/contract-host.ts";

const run = promisify(execFile);
const SIZE_BYTES = 64 * 1024 * 1024;
/** EXT4_IOC_SHUTDOWN without writing back its log: nothing of the file system can be read or written any more. */
const SHUT_DOWN =
  'open(my $at, "<", shift) or die $!; my $how = pack("L", 2); ioctl($at, 0x8004587d, $how) or die $!';

/** For tests: an ext4 of its own on a loop device, which can be made to fail. */
export class FailingDisk implements FailingPlace {
  readonly directory: string;
  readonly #imagePath: string;

  private constructor(directory: string, imagePath: string) {
    this.directory = directory;
    this.#imagePath = imagePath;
  }

  /** Undefined where the machine gives no loop device. */
  static async mount(directory: string): Promise<FailingDisk | undefined> {
    const hasLoop = await run("losetup", ["--find"]).then(
      () => true,
      () => false,
    );
    if (!hasLoop) return undefined;
    const imagePath = `${directory}.img`;
    await writeFile(imagePath, "", { mode: 0o600 });
    await truncate(imagePath, SIZE_BYTES);
    await run("mkfs.ext4", ["-q", imagePath]);
    await mkdir(directory, { mode: 0o700 });
    await run("mount", ["-o", "loop", imagePath, directory]);
    // Machines reach their disks below it by uids of their own.
    await run("chmod", ["711", directory]);
    return new FailingDisk(directory, imagePath);
  }

  async fail(): Promise<void> {
    await run("perl", ["-e", SHUT_DOWN, this.directory]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Whoever had a disk in it is gone, but maybe only just.
    await run("umount", ["-l", this.directory]);
    await rm(this.directory, { recursive: true });
    await rm(this.#imagePath);
  }
}
