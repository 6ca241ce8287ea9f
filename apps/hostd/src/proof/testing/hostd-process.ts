/** A hostd of its own process over real machines, asked as gateway and control plane do. For tests on real machines. */
import { type ChildProcess, spawn } from "node:child_process";
import { createHash, randomUUID } from "node:crypto";
import { createWriteStream } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { systemClock } from "@atoll/base/clock";
import { openChannel } from "@atoll/protocol/call";
import { processRun } from "@atoll/protocol/messages/process";
import { type WorkspaceStatus, workspaceStatus } from "@atoll/protocol/workspace-status";
import { createBody } from "../../testing/fake-host.ts";
import { LinkClient } from "../../testing/link-client.ts";
import { TicketMaker } from "../../testing/ticket-maker.ts";

/** A data directory of another host is waited for first. */
const START_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 60_000;
const POLL_MS = 100;
const RUN_TIMEOUT_MS = 60_000;
const SESSIONS_MAX = 4;

/**
 * What a hostd on another machine sees of this one, as far as namespaces go: none of its processes, and nothing of its
 * memory-backed files. It is process 1 there, so with it everything that it started ends.
 */
const ELSEWHERE = [
  ...["unshare", "--pid", "--mount", "--fork", "--mount-proc", "--kill-child"],
  ...["sh", "-c", 'mount -t tmpfs none /dev/shm && exec "$@"', "sh"],
];

export interface HostdPlace {
  /** The data and keys of that one, while it is there or after. It goes with it. */
  beside?: HostdProcess;
  /** As if on another machine that has the same data. */
  isElsewhere?: boolean;
}

export class HostdProcess implements AsyncDisposable {
  readonly directory: string;
  readonly #maker: TicketMaker;
  readonly #environment: Record<string, string>;
  readonly #place: HostdPlace;
  /** Of its sockets. */
  readonly #name: string;
  #child: ChildProcess | undefined;
  #exited: Promise<number | null> | undefined;

  static async start(
    environment: Record<string, string> = {},
    place: HostdPlace = {},
  ): Promise<HostdProcess> {
    const directory = place.beside?.directory ?? (await mkdtemp(join(tmpdir(), "atoll-proof-vm-")));
    const hostd = new HostdProcess(directory, environment, place);
    if (place.beside === undefined) {
      await mkdir(hostd.at("logs"));
      await writeFile(hostd.at("ticket.pem"), hostd.#maker.publicPem);
    }
    try {
      await hostd.launch();
    } catch (error) {
      await hostd[Symbol.asyncDispose]();
      throw error;
    }
    return hostd;
  }

  private constructor(directory: string, environment: Record<string, string>, place: HostdPlace) {
    this.directory = directory;
    this.#environment = environment;
    this.#place = place;
    this.#maker = place.beside === undefined ? new TicketMaker(systemClock) : place.beside.#maker;
    this.#name = place.beside === undefined ? "hostd" : `hostd-${randomUUID().slice(0, 8)}`;
  }

  /** Its exit code, once it has ended. */
  get exited(): Promise<number | null> {
    if (this.#exited === undefined) throw new Error("hostd was not started");
    return this.#exited;
  }

  signal(signal: NodeJS.Signals): void {
    process.kill(this.pid, signal);
  }

  at(name: string): string {
    return join(this.directory, name);
  }

  get pid(): number {
    const pid = this.#child?.pid;
    if (pid === undefined) throw new Error("hostd does not run");
    return pid;
  }

  async launch(): Promise<void> {
    const main = [process.execPath, join(import.meta.dirname, "../../main.ts")];
    const [program = "", ...argv] = this.#place.isElsewhere ? [...ELSEWHERE, ...main] : main;
    const child = spawn(program, argv, {
      env: {
        PATH: process.env.PATH ?? "",
        ATOLL_DATA: this.at("data"),
        ATOLL_CACHE: process.env.ATOLL_CACHE ?? join(import.meta.dirname, "../../../../../.data/cache"),
        ATOLL_SHARED_TEMPLATES: process.env.ATOLL_SHARED_TEMPLATES,
        ATOLL_HOSTD_SOCKET: this.at(`${this.#name}.sock`),
        ATOLL_LINK_SOCKET: this.at(`${this.#name}-link.sock`),
        ATOLL_TICKET_PUBLIC_KEY_FILE: this.at("ticket.pem"),
        ATOLL_WEB_URL: "http://localhost:7700",
        ...this.#environment,
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child = child;
    this.#exited = new Promise((resolve) => child.once("exit", resolve));
    const log = createWriteStream(this.at(`logs/${this.#name}.log`), { flags: "a" });
    child.stdout.pipe(log);
    child.stderr.pipe(log, { end: false });
    const endMs = performance.now() + START_TIMEOUT_MS;
    for (;;) {
      const answer = await this.api("GET", "/healthz").catch(() => undefined);
      if (answer?.status === 200) return;
      if (child.exitCode !== null) throw new Error(`hostd ended with ${child.exitCode}; see its log`);
      if (performance.now() > endMs) throw new Error("hostd did not come up");
      await delay(POLL_MS);
    }
  }

  api(method: string, path: string, body?: unknown): Promise<{ status: number; body: unknown }> {
    const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: unknown }>();
    const outgoing = request(
      { socketPath: this.at(`${this.#name}.sock`), method, path },
      async (incoming) => {
        let text = "";
        for await (const chunk of incoming) text += String(chunk);
        resolve({ status: incoming.statusCode ?? 0, body: text === "" ? undefined : JSON.parse(text) });
      },
    );
    outgoing.on("error", reject);
    outgoing.end(body === undefined ? undefined : JSON.stringify(body));
    return promise;
  }

  /** @throws Error with hostd's answer unless it succeeded */
  async ask(method: string, path: string, body?: unknown): Promise<unknown> {
    const answer = await this.api(method, path, body);
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${JSON.stringify(answer)}`);
    return answer.body;
  }

  async create(overrides: Parameters<typeof createBody>[0] = {}): Promise<WorkspaceStatus> {
    const body = createBody({ idlePauseSeconds: 604_800, ...overrides });
    return workspaceStatus.parse(await this.ask("PUT", `/v1/workspaces/${randomUUID()}`, body));
  }

  async status(workspaceId: string): Promise<WorkspaceStatus> {
    return workspaceStatus.parse(await this.ask("GET", `/v1/workspaces/${workspaceId}`));
  }

  /** With `view`, of a stored state of it: resolves when its files can be read. */
  async session(
    { workspaceId, ownerId }: WorkspaceStatus,
    view?: { checkpointId: string | null },
  ): Promise<LinkClient> {
    const client = await LinkClient.connect(this.at(`${this.#name}-link.sock`));
    const ticket = await this.#maker.make({
      ...{ workspaceId, sub: ownerId, maxSessions: SESSIONS_MAX },
      ...(view === undefined ? {} : { view }),
    });
    return client.accepted({ type: "session", ticket, tabId: randomUUID(), takeOver: true });
  }

  /** Standard output of a shell command in the workspace. */
  async shell(workspace: WorkspaceStatus, command: string): Promise<string> {
    await using client = await this.session(workspace);
    return await this.run(client, command);
  }

  async run(client: LinkClient, command: string): Promise<string> {
    const argv = ["sh", "-c", command];
    const channel = await openChannel(client.mux, processRun, { argv, timeoutMs: RUN_TIMEOUT_MS });
    channel.stream.end();
    let output = "";
    for await (const item of channel.items()) {
      if (item.kind === "data") output += Buffer.from(item.bytes).toString("utf8");
    }
    return output.trim();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const child = this.#child;
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      // One that stands still hears nothing else. Around one elsewhere there is no need for order: nothing outlives it.
      child.kill("SIGCONT");
      child.kill(this.#place.isElsewhere ? "SIGKILL" : "SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
      await this.#exited;
      clearTimeout(timer);
    }
    if (this.#place.beside !== undefined) return;
    // Named as machine-host.ts does. One that lost its lease, or was killed, leaves it for the next life.
    const place = createHash("sha256").update(this.at("data")).digest("hex").slice(0, 12);
    for (const path of [`/dev/shm/atoll-${place}`, this.directory]) {
      await rm(path, { recursive: true, force: true });
    }
  }
}
