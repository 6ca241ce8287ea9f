/** A hostd of its own process over real machines, asked as gateway and control plane do. For tests on real machines. */
import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
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

const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 60_000;
const POLL_MS = 100;
const RUN_TIMEOUT_MS = 60_000;
const SESSIONS_MAX = 4;

export class HostdProcess implements AsyncDisposable {
  readonly directory: string;
  readonly #maker = new TicketMaker(systemClock);
  readonly #environment: Record<string, string>;
  #child: ChildProcess | undefined;

  static async start(environment: Record<string, string> = {}): Promise<HostdProcess> {
    const directory = await mkdtemp(join(tmpdir(), "atoll-proof-vm-"));
    const hostd = new HostdProcess(directory, environment);
    await mkdir(hostd.at("logs"));
    await writeFile(hostd.at("ticket.pem"), hostd.#maker.publicPem);
    await hostd.launch();
    return hostd;
  }

  private constructor(directory: string, environment: Record<string, string>) {
    this.directory = directory;
    this.#environment = environment;
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
    const child = spawn(process.execPath, [join(import.meta.dirname, "../../main.ts")], {
      env: {
        PATH: process.env.PATH ?? "",
        ATOLL_DATA: this.at("data"),
        ATOLL_CACHE: process.env.ATOLL_CACHE ?? join(import.meta.dirname, "../../../../../.data/cache"),
        ATOLL_SHARED_TEMPLATES: process.env.ATOLL_SHARED_TEMPLATES,
        ATOLL_HOSTD_SOCKET: this.at("hostd.sock"),
        ATOLL_LINK_SOCKET: this.at("link.sock"),
        ATOLL_TICKET_PUBLIC_KEY_FILE: this.at("ticket.pem"),
        ATOLL_WEB_URL: "http://localhost:7700",
        ...this.#environment,
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child = child;
    const log = createWriteStream(this.at("logs/hostd.log"), { flags: "a" });
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
    const outgoing = request({ socketPath: this.at("hostd.sock"), method, path }, async (incoming) => {
      let text = "";
      for await (const chunk of incoming) text += String(chunk);
      resolve({ status: incoming.statusCode ?? 0, body: text === "" ? undefined : JSON.parse(text) });
    });
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
    const client = await LinkClient.connect(this.at("link.sock"));
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
    if (child !== undefined && child.exitCode === null) {
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
      await ended;
      clearTimeout(timer);
    }
    await rm(this.directory, { recursive: true, force: true });
  }
}
