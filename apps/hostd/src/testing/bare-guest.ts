import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Scope } from "@atoll/base/scope";
import { AtollError } from "@atoll/protocol/atoll-error";
import { openChannel } from "@atoll/protocol/call";
import { STREAMS_PER_LINK } from "@atoll/protocol/limits";
import { FIRST_LINK_TOKEN } from "@atoll/protocol/link-handshake";
import { processRun } from "@atoll/protocol/messages/process";
import type { Mux } from "@atoll/protocol/mux";
import { connectGuest } from "../link/connect-guest.ts";
import { MuxTransport } from "../link/mux-transport.ts";
import type { VmTestHost } from "./vm-test-host.ts";

const BOOT_TIMEOUT_MS = 150_000;

export interface BareGuestOptions {
  host: VmTestHost;
  /** For its socket. */
  folder: string;
  /** Raw ext4 images; what is written to the view is thrown away. */
  diskPath: string;
  viewPath?: string;
}

/** The real image and agent, booted on plain files without a jail: for what the guest does, not how it is kept. */
export class BareGuest implements AsyncDisposable {
  readonly mux: Mux;
  readonly #scope: Scope;

  private constructor(mux: Mux, scope: Scope) {
    this.mux = mux;
    this.#scope = scope;
  }

  static async boot(options: BareGuestOptions): Promise<BareGuest> {
    const scope = new Scope();
    try {
      const socketPath = join(options.folder, `link-${randomBytes(4).toString("hex")}.sock`);
      const [program = "", ...command] = options.host.vmm.qemuCommand;
      const qemu = spawn(program, [...command, ...machineArguments(options, socketPath)], {
        stdio: ["ignore", "ignore", "inherit"],
      });
      scope.defer(() => kill(qemu));
      const signal = AbortSignal.timeout(BOOT_TIMEOUT_MS);
      const socket = await dial(socketPath, signal);
      scope.defer(() => socket.destroy());
      const { early } = await connectGuest({
        duplex: socket,
        expectedToken: FIRST_LINK_TOKEN,
        linkToken: randomBytes(32).toString("hex"),
        reason: "boot",
        identity: { workspaceId: "bare", hostname: "bare", machineId: randomBytes(16).toString("hex") },
        egress: "off",
        timeoutMs: BOOT_TIMEOUT_MS,
        signal,
      });
      const transport = new MuxTransport({
        duplex: socket,
        side: "client",
        maxStreams: STREAMS_PER_LINK,
        onOpen: (open) => open.refuse(new AtollError("egress.denied")),
        onClosed: () => {},
      });
      transport.start(early);
      return new BareGuest(transport.mux, scope);
    } catch (error) {
      await scope.close();
      throw error;
    }
  }

  /** What a command prints, as the workspace's user. */
  async run(...argv: string[]): Promise<{ exitCode: number | null; output: string; errors: string }> {
    const channel = await openChannel(
      this.mux,
      processRun,
      { argv, timeoutMs: 120_000 },
      { timeoutMs: 60_000 },
    );
    const texts = { output: "", errors: "" };
    let exitCode: number | null = null;
    channel.stream.end();
    for await (const item of channel.items()) {
      if (item.kind === "event") exitCode = item.value.exitCode;
      else texts[item.isSecondary ? "errors" : "output"] += Buffer.from(item.bytes).toString();
    }
    return { exitCode, ...texts };
  }

  /** As by a power cut. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#scope.close();
  }
}

async function dial(path: string, signal: AbortSignal): Promise<Socket> {
  for (;;) {
    const socket = connect(path);
    try {
      await once(socket, "connect");
      return socket;
    } catch {
      await delay(50, undefined, { signal });
    }
  }
}

async function kill(qemu: ChildProcess): Promise<void> {
  if (qemu.exitCode !== null || qemu.signalCode !== null) return;
  const gone = once(qemu, "exit");
  qemu.kill("SIGKILL");
  await gone;
}

function machineArguments({ host, diskPath, viewPath }: BareGuestOptions, socketPath: string): string[] {
  const { image } = host;
  const [base = "", agent = ""] = image.layerPaths;
  const drives = [
    { id: "base", path: base, options: "readonly=on" },
    { id: "agent", path: agent, options: "readonly=on" },
    { id: "disk", path: diskPath, options: "discard=unmap" },
    ...(viewPath === undefined ? [] : [{ id: "view", path: viewPath, options: "snapshot=on" }]),
  ];
  return [
    ...["-nodefaults", "-no-user-config", "-display", "none", "-accel", "tcg,tb-size=256", "-cpu", "max"],
    ...["-machine", "q35,vmport=off,usb=off,hpet=off,graphics=off", "-m", "512"],
    ...["-kernel", image.kernelPath, "-initrd", image.initramfsPath, "-append", image.kernelArguments],
    ...drives.flatMap(({ id, path, options }) => [
      ...["-drive", `if=none,id=${id},file=${path},format=raw,${options}`],
      ...["-device", `virtio-blk-pci,drive=${id},serial=${id}`],
    ]),
    ...["-device", "virtio-serial-pci", "-chardev", `socket,id=link,path=${socketPath},server=on,wait=off`],
    ...["-device", "virtserialport,chardev=link,name=org.atoll.link", "-device", "virtio-rng-pci"],
  ];
}
