import { randomBytes, randomUUID } from "node:crypto";
import { AtollError } from "@atoll/protocol/atoll-error";
import { call, openChannel } from "@atoll/protocol/call";
import { FIRST_LINK_TOKEN } from "@atoll/protocol/link-handshake";
import { coreQuiesce, coreShutdown } from "@atoll/protocol/messages/core";
import { processRun } from "@atoll/protocol/messages/process";
import type { Mux } from "@atoll/protocol/mux";
import type { Machine } from "../hypervisor/hypervisor.ts";
import { GuestLink } from "../link/guest-link.ts";

/** Counts in the guest's memory: /dev/shm is a tmpfs. */
const COUNT = "n=$(cat /dev/shm/probe 2>/dev/null || echo 0); n=$((n+1)); echo $n >/dev/shm/probe; echo $n";
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

  async quiesce(): Promise<boolean> {
    return (await call(this.mux, coreQuiesce, {}, { timeoutMs: CALL_TIMEOUT_MS })).frozen;
  }

  async shutDown(): Promise<void> {
    try {
      await call(this.mux, coreShutdown, {}, { timeoutMs: CALL_TIMEOUT_MS });
    } catch (error) {
      // The guest may be gone before its answer is read.
      if (!(error instanceof AtollError && error.code === "link.lost")) throw error;
    }
  }

  close(): void {
    this.#link.close(new AtollError("link.lost", "the probe is done"));
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
