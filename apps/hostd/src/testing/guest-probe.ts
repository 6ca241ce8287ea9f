import { randomBytes, randomUUID } from "node:crypto";
import { AtollError } from "@atoll/protocol/atoll-error";
import { call, openChannel } from "@atoll/protocol/call";
import { FIRST_LINK_TOKEN } from "@atoll/protocol/link-handshake";
import { coreQuiesce, coreShutdown, coreThaw } from "@atoll/protocol/messages/core";
import { processRun } from "@atoll/protocol/messages/process";
import type { Mux } from "@atoll/protocol/mux";
import type { Machine } from "../hypervisor/hypervisor.ts";
import { GuestLink } from "../link/guest-link.ts";
import { DISK_COMMANDS, END_AGENT_COMMAND, RESET_COMMAND } from "./fake-guest.ts";

/** Counts in the guest's memory: /dev/shm is a tmpfs. */
const COUNT = "n=$(cat /dev/shm/probe 2>/dev/null || echo 0); n=$((n+1)); echo $n >/dev/shm/probe; echo $n";
/** Past the guest's page cache: what is read comes from the device. */
const DIRECT = "iflag=direct bs=4096 status=none 2>/dev/null";
/** From then on /mnt shows the dev user's files on the device with serial `view`. sudo costs an emulated guest a second. */
const MOUNT_VIEW = `mountpoint -q /mnt || sudo sh -c '
  for d in /sys/block/vd*; do [ "$(cat $d/serial)" = view ] && dev=/dev/\${d##*/}; done
  mkdir /run/probe && mount $dev /run/probe && mount --bind /run/probe/upper/home/dev /mnt'`;
const DISK_SHELL = {
  [DISK_COMMANDS.writeDisk]: 'printf %s "$2" >"$HOME/probe-$1" && sync',
  [DISK_COMMANDS.readDisk]: `dd if="$HOME/probe-$1" ${DIRECT}`,
  [DISK_COMMANDS.writeView]: `${MOUNT_VIEW}; printf %s "$2" >"/mnt/probe-$1" && sync`,
  [DISK_COMMANDS.readView]: `${MOUNT_VIEW}; dd if="/mnt/probe-$1" ${DIRECT}`,
};
const RESETS = {
  reboot: "sudo sh -c 'echo b >/proc/sysrq-trigger'",
  panic: "sudo sh -c 'echo c >/proc/sysrq-trigger'",
};
const START_TIMEOUT_MS = 150_000;
const CALL_TIMEOUT_MS = 60_000;

export interface ProbeStart {
  reason: "boot" | "create" | "resume" | "reconnect";
  expectedToken?: string;
  linkToken?: string | undefined;
}

/** A test's hold on a guest through the real link: the agent's in a real machine, the fake's in memory. */
export class GuestProbe {
  readonly #link: GuestLink;

  private constructor(link: GuestLink) {
    this.#link = link;
  }

  /** Opens the link, starts the machine and shakes hands. */
  static async start(machine: Machine, options: ProbeStart): Promise<GuestProbe> {
    const link = new GuestLink({
      machine,
      identity: { workspaceId: randomUUID(), hostname: "probe", machineId: randomBytes(16).toString("hex") },
      linkToken: options.linkToken ?? randomBytes(32).toString("hex"),
      egress: () => "off",
      onOpen: (open) => open.refuse(new AtollError("egress.denied")),
      onUp: () => {},
      onDown: () => {},
      onDegraded: () => {},
      onAbandoned: () => {},
    });
    await link.connect({
      expectedToken: options.expectedToken ?? FIRST_LINK_TOKEN,
      reason: options.reason === "reconnect" ? "resume" : options.reason,
      timeoutMs: START_TIMEOUT_MS,
      beforeHandshake: () => machine.start(),
    });
    return new GuestProbe(link);
  }

  get mux(): Mux {
    const { mux } = this.#link;
    if (mux === undefined) throw new AtollError("link.lost", "the probe's link is down");
    return mux;
  }

  /** One more than the last time; the fake counts runs instead of running them. */
  async count(): Promise<number> {
    const { pid, output } = await this.#run(["sh", "-c", COUNT]);
    return output === "" ? pid - 39 : Number(output);
  }

  /** Standard output of a shell command in a real guest. */
  async shell(command: string): Promise<string> {
    return (await this.#run(["sh", "-c", command])).output;
  }

  /** Durable in the guest when this resolves. */
  async writeDisk(key: string, value: string): Promise<void> {
    await this.#disk(DISK_COMMANDS.writeDisk, key, value);
  }

  /** Undefined when it was never written. */
  readDisk(key: string): Promise<string | undefined> {
    return this.#disk(DISK_COMMANDS.readDisk, key);
  }

  async writeView(key: string, value: string): Promise<void> {
    await this.#disk(DISK_COMMANDS.writeView, key, value);
  }

  /** What `writeDisk` wrote to the disk that this machine has as its view. */
  readView(key: string): Promise<string | undefined> {
    return this.#disk(DISK_COMMANDS.readView, key);
  }

  async quiesce(): Promise<boolean> {
    return (await call(this.mux, coreQuiesce, {}, { timeoutMs: CALL_TIMEOUT_MS })).frozen;
  }

  async thaw(): Promise<void> {
    await call(this.mux, coreThaw, {}, { timeoutMs: CALL_TIMEOUT_MS });
  }

  async shutDown(): Promise<void> {
    try {
      await call(this.mux, coreShutdown, {}, { timeoutMs: CALL_TIMEOUT_MS });
    } catch (error) {
      // The guest may be gone before its answer is read.
      if (!(error instanceof AtollError && error.code === "link.lost")) throw error;
    }
  }

  /** As a guest does that reboots without a good-bye, or whose kernel panics. Its answer never comes. */
  async reset(how: keyof typeof RESETS): Promise<void> {
    await this.#run(["sh", "-c", RESETS[how], RESET_COMMAND]).catch(() => {});
  }

  /** The guest's init starts it again, and the link comes back. Its answer never comes. */
  async endAgent(): Promise<void> {
    await this.#run(["sh", "-c", 'sudo kill -KILL "$PPID"', END_AGENT_COMMAND]).catch(() => {});
  }

  close(): void {
    this.#link.close(new AtollError("link.lost", "the probe is done"));
  }

  async #disk(name: keyof typeof DISK_SHELL, key: string, value = ""): Promise<string | undefined> {
    // The name is $0 for the shell; the fake knows the command by it.
    const { output } = await this.#run(["sh", "-c", DISK_SHELL[name], name, key, value]);
    return output === "" ? undefined : output;
  }

  async #run(argv: string[]): Promise<{ pid: number; output: string }> {
    const channel = await openChannel(
      this.mux,
      processRun,
      { argv, timeoutMs: CALL_TIMEOUT_MS },
      { timeoutMs: CALL_TIMEOUT_MS },
    );
    channel.stream.end();
    let output = "";
    for await (const item of channel.items()) {
      if (item.kind === "data") output += Buffer.from(item.bytes).toString("utf8");
    }
    return { pid: channel.result.pid, output: output.trim() };
  }
}
