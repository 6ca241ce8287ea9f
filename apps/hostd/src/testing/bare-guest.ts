import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Scope } from "@atoll/base/scope";
import { AtollError, toAtollError } from "@atoll/protocol/atoll-error";
import { openChannel } from "@atoll/protocol/call";
import { STREAMS_PER_LINK } from "@atoll/protocol/limits";
import { FIRST_LINK_TOKEN } from "@atoll/protocol/link-handshake";
import { processRun } from "@atoll/protocol/messages/process";
import type { Mux } from "@atoll/protocol/mux";
import { EMULATED_CPU } from "../hypervisor/qemu/qemu-arguments.ts";
import { connectGuest } from "../link/connect-guest.ts";
import { MuxTransport } from "../link/mux-transport.ts";
import type { VmTestHost } from "./vm-test-host.ts";

const BOOT_TIMEOUT_MS = 150_000;
const REDIAL_MS = 50;
const MEMORY_MB = 512;

export interface BareGuestOptions {
  host: VmTestHost;
  /** For its socket. */
  folder: string;
  /** Raw ext4 images; what is written to the view is thrown away. */
  diskPath: string;
  viewPath?: string;
  /** Without it the link is a virtio-serial port, as in every machine. */
  link?: BareLink;
}

/** A way to the agent. */
export interface BareLink {
  devices: readonly string[];
  kernelArguments?: string;
  /** @throws AtollError link.lost until somebody listens */
  dial(signal: AbortSignal): Promise<Socket>;
}

/** The real image and agent, booted on plain files without a jail: for what the guest does, not how it is kept. */
export class BareGuest implements AsyncDisposable {
  readonly #scope: Scope;
  readonly #link: BareLink;
  #expectedToken = FIRST_LINK_TOKEN;
  #socket: Socket | undefined;
  #mux: Mux | undefined;

  private constructor(scope: Scope, link: BareLink) {
    this.#scope = scope;
    this.#link = link;
  }

  static async boot(options: BareGuestOptions): Promise<BareGuest> {
    const scope = new Scope();
    try {
      const link = options.link ?? serialLink(options.folder);
      const [program = "", ...command] = options.host.vmm.qemuCommand;
      startChild(scope, [program, ...command, ...machineArguments(options, link)]);
      const guest = new BareGuest(scope, link);
      scope.defer(() => guest.#socket?.destroy());
      await guest.#connect("boot");
      return guest;
    } catch (error) {
      await scope.close();
      throw error;
    }
  }

  get mux(): Mux {
    if (this.#mux === undefined) throw new AtollError("link.lost");
    return this.#mux;
  }

  /** Cuts the connection and makes another. */
  async reconnect(): Promise<void> {
    this.#socket?.destroy();
    await this.#connect("reconnect");
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

  /**
   * Dials until the agent answers: before it listens, connections are refused or closed.
   * @throws AtollError request.timeout
   */
  async #connect(reason: "boot" | "reconnect"): Promise<void> {
    const signal = AbortSignal.timeout(BOOT_TIMEOUT_MS);
    const linkToken = randomBytes(32).toString("hex");
    for (;;) {
      try {
        this.#socket = await this.#link.dial(signal);
        const { early } = await connectGuest({
          duplex: this.#socket,
          expectedToken: this.#expectedToken,
          linkToken,
          reason,
          identity: { workspaceId: "bare", hostname: "bare", machineId: randomBytes(16).toString("hex") },
          egress: "off",
          timeoutMs: BOOT_TIMEOUT_MS,
          signal,
        });
        const transport = new MuxTransport({
          duplex: this.#socket,
          side: "client",
          maxStreams: STREAMS_PER_LINK,
          onOpen: (open) => open.refuse(new AtollError("egress.denied")),
          onClosed: () => {},
        });
        transport.start(early);
        this.#mux = transport.mux;
        this.#expectedToken = linkToken;
        return;
      } catch (error) {
        this.#socket?.destroy();
        if (!signal.aborted && toAtollError(error).code !== "link.lost") throw error;
      }
      if (signal.aborted) throw new AtollError("request.timeout", "its agent does not answer");
      await delay(REDIAL_MS);
    }
  }
}

/** Killed with the scope. */
export function startChild(scope: Scope, [program = "", ...argv]: readonly string[]): ChildProcess {
  const child = spawn(program, argv, { stdio: ["ignore", "ignore", "inherit"] });
  scope.defer(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  });
  return child;
}

function serialLink(folder: string): BareLink {
  const path = join(folder, `link-${randomBytes(4).toString("hex")}.sock`);
  return {
    devices: [
      ...["-device", "virtio-serial-pci", "-chardev", `socket,id=link,path=${path},server=on,wait=off`],
      ...["-device", "virtserialport,chardev=link,name=org.atoll.link"],
    ],
    async dial() {
      const socket = connect(path);
      await once(socket, "connect").catch((cause) => {
        throw new AtollError("link.lost", "QEMU does not listen yet", { cause });
      });
      return socket;
    },
  };
}

function machineArguments({ host, diskPath, viewPath }: BareGuestOptions, link: BareLink): string[] {
  const { image } = host;
  const [base = "", agent = ""] = image.layerPaths;
  const drives = [
    { id: "base", path: base, options: "readonly=on" },
    { id: "agent", path: agent, options: "readonly=on" },
    { id: "disk", path: diskPath, options: "discard=unmap" },
    ...(viewPath === undefined ? [] : [{ id: "view", path: viewPath, options: "snapshot=on" }]),
  ];
  return [
    ...[
      "-nodefaults",
      "-no-user-config",
      "-display",
      "none",
      "-accel",
      "tcg,tb-size=256",
      "-cpu",
      EMULATED_CPU,
    ],
    ...["-machine", "q35,vmport=off,usb=off,hpet=off,graphics=off,memory-backend=ram"],
    // Shared: devices in processes of their own work on it.
    ...["-m", String(MEMORY_MB), "-object", `memory-backend-memfd,id=ram,size=${MEMORY_MB}M,share=on`],
    ...["-kernel", image.kernelPath, "-initrd", image.initramfsPath],
    ...["-append", [image.kernelArguments, link.kernelArguments ?? ""].join(" ").trim()],
    ...drives.flatMap(({ id, path, options }) => [
      ...["-drive", `if=none,id=${id},file=${path},format=raw,${options}`],
      ...["-device", `virtio-blk-pci,drive=${id},serial=${id}`],
    ]),
    ...[...link.devices, "-device", "virtio-rng-pci"],
  ];
}
