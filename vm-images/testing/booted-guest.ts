import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Scope } from "@atoll/base/scope";
import type { GuestImage } from "../build/image-manifest.ts";
import type { Vmm } from "../build-vmm.ts";
import { formatDisk } from "../format-disk.ts";
import { LineClient } from "./line-client.ts";

const BOOT_TIMEOUT_MS = 120_000;
const MEMORY_MB = 512;

export interface BootOptions {
  vmm: Vmm;
  image: GuestImage;
  /** A disk an earlier guest has used; a new one is made otherwise. */
  diskPath?: string;
  diskSizeBytes?: number;
  /** Folder for sockets, console and a new disk; the caller's, kept. */
  folder: string;
}

/** A guest with the stand-in agent, booted under emulation and answering. Killed when disposed of. */
export class BootedGuest implements AsyncDisposable {
  readonly client: LineClient;
  readonly diskPath: string;
  readonly qemu: ChildProcess;
  readonly #folder: string;
  readonly #scope: Scope;

  private constructor(
    client: LineClient,
    diskPath: string,
    folder: string,
    qemu: ChildProcess,
    scope: Scope,
  ) {
    this.client = client;
    this.diskPath = diskPath;
    this.#folder = folder;
    this.qemu = qemu;
    this.#scope = scope;
  }

  static async boot(options: BootOptions): Promise<BootedGuest> {
    const { folder } = options;
    const scope = new Scope();
    try {
      const diskPath = options.diskPath ?? join(folder, "disk.raw");
      if (options.diskPath === undefined) {
        await formatDisk({ path: diskPath, sizeBytes: options.diskSizeBytes ?? 2 * 1024 ** 3 });
      }
      const link = join(folder, "link.sock");
      await rm(link, { force: true });
      const signal = AbortSignal.timeout(BOOT_TIMEOUT_MS);
      // QEMU dials us: the other way round a socket can be seen before anyone accepts on it.
      const server = createServer().listen(link);
      scope.defer(() => server.close());
      const connected = once(server, "connection", { signal });
      const [command, ...rest] = bootArguments(options, diskPath, link);
      const qemu = spawn(command, rest, { stdio: ["ignore", "inherit", "inherit"] });
      scope.defer(async () => {
        if (qemu.exitCode !== null || qemu.signalCode !== null) return;
        const gone = once(qemu, "exit");
        qemu.kill("SIGKILL");
        await gone;
      });
      const [socket] = (await connected) as [Socket];
      const client = scope.own(new LineClient(socket));
      await Promise.race([client.started(), once(signal, "abort")]);
      if (signal.aborted) throw new Error(`the guest did not answer:\n${await consoleTail(folder)}`);
      return new BootedGuest(client, diskPath, folder, qemu, scope);
    } catch (error) {
      await scope.close();
      throw error;
    }
  }

  /** What the kernel and the supervisor said. */
  console(): Promise<string> {
    return consoleTail(this.#folder);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#scope.close();
  }
}

/** The devices of vm-images/README.md, and a serial console to read why a test failed. */
function bootArguments(options: BootOptions, diskPath: string, link: string): [string, ...string[]] {
  const { image, vmm } = options;
  const readOnly = "format=raw,if=none,readonly=on";
  const { kernelArguments, emulatedKernelArguments } = image.manifest;
  const append = [...kernelArguments, ...emulatedKernelArguments, "console=ttyS0"];
  const [command, ...loader] = vmm.qemuCommand;
  return [
    command,
    ...loader,
    ...["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
    ...[
      "-machine",
      "q35,memory-backend=ram,vmport=off,usb=off,sata=off,smbus=off,graphics=off,hpet=off,i8042=off",
    ],
    ...["-object", `memory-backend-memfd,id=ram,size=${MEMORY_MB}M,share=on`, "-m", `${MEMORY_MB}M`],
    ...["-accel", "tcg,thread=single,tb-size=64", "-cpu", "max", "-smp", "1"],
    ...["-kernel", image.emulatedKernelPath, "-initrd", image.initramfsPath, "-append", append.join(" ")],
    ...[
      "-drive",
      `id=base,file=${image.basePath},${readOnly}`,
      "-device",
      "virtio-blk-pci,drive=base,serial=base",
    ],
    ...[
      "-drive",
      `id=agent,file=${image.agentPath},${readOnly}`,
      "-device",
      "virtio-blk-pci,drive=agent,serial=agent",
    ],
    ...["-drive", `id=disk,file=${diskPath},format=raw,if=none,discard=unmap`],
    ...["-device", "virtio-blk-pci,drive=disk,serial=disk"],
    ...["-device", "virtio-serial-pci", "-chardev", `socket,id=link,path=${link},server=off`],
    ...["-device", "virtserialport,chardev=link,name=org.atoll.link"],
    ...["-device", "virtio-rng-pci", "-device", "vmgenid,guid=auto"],
    ...["-serial", `file:${join(options.folder, "console.log")}`],
  ];
}

async function consoleTail(folder: string): Promise<string> {
  const text = await readFile(join(folder, "console.log"), "utf8").catch(() => "no console");
  return text.split("\n").slice(-60).join("\n");
}

export async function temporaryFolder(): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp(join(tmpdir(), "atoll-image-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}
