/** One workspace's whole life on a real machine, through the two sockets that gateway and control plane use. */
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { createServer } from "node:net";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "@atoll/base/clock";
import { call, openChannel } from "@atoll/protocol/call";
import { deleteAnswer } from "@atoll/protocol/hostd-api";
import { processRun } from "@atoll/protocol/messages/process";
import { terminalAttach, terminalOpen } from "@atoll/protocol/messages/terminal";
import { workspaceStatus } from "@atoll/protocol/workspace-status";
import { pino } from "pino";
import { afterAll, beforeAll, expect, it } from "vitest";
import { readEnv } from "./env.ts";
import { type Hostd, startHostd } from "./hostd.ts";
import { isAlive } from "./hypervisor/qemu/process-identity.ts";
import { createBody } from "./testing/fake-host.ts";
import { LinkClient } from "./testing/link-client.ts";
import { TicketMaker } from "./testing/ticket-maker.ts";
import { workspaceRecord } from "./workspaces/journal/workspace-record.ts";

let directory: string;
let hostd: Hostd;
const maker = new TicketMaker(systemClock);
const id = randomUUID();
const at = (name: string) => join(directory, name);

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "atoll-hostd-vm-"));
  await writeFile(at("ticket.pem"), maker.publicPem);
  const env = readEnv({
    ATOLL_DATA: at("data"),
    ATOLL_CACHE: process.env.ATOLL_CACHE ?? join(import.meta.dirname, "../../../.data/cache"),
    ATOLL_SHARED_TEMPLATES: process.env.ATOLL_SHARED_TEMPLATES,
    ATOLL_HOSTD_SOCKET: at("hostd.sock"),
    ATOLL_LINK_SOCKET: at("link.sock"),
    ATOLL_TICKET_PUBLIC_KEY_FILE: at("ticket.pem"),
    ATOLL_POOL_SIZE: "1",
    ATOLL_PAUSE_GRACE_SECONDS: "0",
  });
  hostd = await startHostd(env, pino({ level: "warn" }));
});

afterAll(async () => {
  await hostd?.drain();
  await rm(directory, { recursive: true, force: true });
});

function api(method: string, path: string, body?: unknown): Promise<{ status: number; body: unknown }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: unknown }>();
  const outgoing = request({ socketPath: at("hostd.sock"), method, path }, async (incoming) => {
    let text = "";
    for await (const chunk of incoming) text += String(chunk);
    resolve({ status: incoming.statusCode ?? 0, body: JSON.parse(text) });
  });
  outgoing.on("error", reject);
  outgoing.end(body === undefined ? undefined : JSON.stringify(body));
  return promise;
}

async function session(workspaceId = id): Promise<LinkClient> {
  const client = await LinkClient.connect(at("link.sock"));
  const ticket = await maker.make({ workspaceId });
  return client.accepted({ type: "session", ticket, tabId: randomUUID(), takeOver: false });
}

/** What a program in the guest says, and how it ended. */
async function run(
  client: LinkClient,
  ...argv: string[]
): Promise<{ output: string; exitCode: number | null }> {
  const channel = await openChannel(client.mux, processRun, { argv, timeoutMs: 60_000 });
  channel.stream.end();
  let output = "";
  let exitCode: number | null = null;
  for await (const item of channel.items()) {
    if (item.kind === "data") output += Buffer.from(item.bytes).toString();
    else exitCode = item.value.exitCode;
  }
  return { output: output.trim(), exitCode };
}

async function machineOf(): Promise<{ pid: number; startTicks: string } | null> {
  return workspaceRecord.parse(JSON.parse(await readFile(at(`data/journal/workspaces/${id}.json`), "utf8")))
    .machine;
}

/** Files below the data directory that contain `marker`. Disks are sparse and larger than a buffer may be, so grep reads them. */
async function filesWith(marker: string, where = "data"): Promise<string[]> {
  const grep = spawn("grep", ["-rlaF", "--", marker, at(where)], { stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  for await (const chunk of grep.stdout) output += String(chunk);
  return output.split("\n").filter((line) => line !== "");
}

it("creates, types, pauses to nothing, resumes the same process, and erases", async () => {
  // Waits for the template, which a new data directory has to bake first.
  const body = createBody({ egress: "off" });
  const created = await api("PUT", `/v1/workspaces/${id}`, body);
  expect(workspaceStatus.parse(created.body)).toMatchObject({ state: "running", startedBy: "create" });

  // A terminal echoes what is typed, in a guest with its own kernel and name.
  const client = await session();
  const terminal = await call(client.mux, terminalOpen, { cols: 80, rows: 24 });
  const screen = await openChannel(client.mux, terminalAttach, { terminalId: terminal.terminalId });
  await screen.stream.write(Buffer.from("echo $((6*7))-$(hostname)\n"));
  let shown = "";
  for await (const item of screen.items()) {
    if (item.kind === "data") shown += Buffer.from(item.bytes).toString();
    if (shown.includes("42-blue-reef")) break;
  }
  expect((await run(client, "uname", "-n")).output).toBe("blue-reef");

  // A process that goes on, and a marker in a file and in memory.
  const marker = `marker-${randomUUID()}`;
  const counter = `m=${marker}; echo $m > /workspace/saved; i=0; while :; do i=$((i+1)); echo $i > /tmp/count; sleep 0.2; done`;
  const started = await run(client, "sh", "-c", `nohup sh -c '${counter}' >/dev/null 2>&1 & echo $!`);
  const counting = async (one: LinkClient) => {
    const pid = (await run(one, "sh", "-c", `kill -0 ${started.output} && cat /tmp/count`)).output;
    return Number(pid);
  };
  await expect.poll(() => counting(client), { timeout: 30_000 }).toBeGreaterThan(1);
  const before = await counting(client);

  // Paused: no process, and nothing readable of it on the disk.
  const machine = await machineOf();
  expect(machine !== null && isAlive(machine)).toBe(true);
  const paused = await api("POST", `/v1/workspaces/${id}/pause`, {});
  expect(workspaceStatus.parse(paused.body)).toMatchObject({ state: "paused", reason: "requested" });
  await client.state("paused");
  expect(machine !== null && isAlive(machine)).toBe(false);
  expect(await machineOf()).toBeNull();
  // The search does find what is there in the clear: the journal names the workspace.
  expect(await filesWith(id, "data/journal")).not.toEqual([]);
  expect(await filesWith(marker)).toEqual([]);
  await client[Symbol.asyncDispose]();

  // A new tab brings it back: same process, still counting.
  const again = await session();
  again.mux.sendConnectionEvent({ type: "wake" });
  await again.event((event) => "status" in event && event.status.startedBy === "resume");
  await expect.poll(() => counting(again), { timeout: 30_000 }).toBeGreaterThan(before);
  expect((await run(again, "cat", "/workspace/saved")).output).toBe(marker);
  const screenAgain = await openChannel(again.mux, terminalAttach, { terminalId: terminal.terminalId });
  expect(screenAgain.result.info.pid).toBe(terminal.pid);

  // Erased: sessions end, the key is gone first, then the data.
  const deleted = deleteAnswer.parse((await api("DELETE", `/v1/workspaces/${id}`)).body);
  expect(deleted.erasures).toMatchObject([{ workspaceId: id }]);
  expect((await again.ended).code).toBe("workspace.deleted");
  const keyFiles = (await readdir(at("data/keys"), { recursive: true })).filter((name) => name.includes(id));
  expect(keyFiles.filter((name) => !name.endsWith(".destroyed.json"))).toEqual([]);
  expect(await filesWith(marker, "data/workspaces")).toEqual([]);
  expect((await api("PUT", `/v1/workspaces/${id}`, body)).status).toBe(410);
  expect(deleteAnswer.parse((await api("DELETE", `/v1/workspaces/${id}`)).body)).toEqual(deleted);
});

it("lets nothing of the host or its networks be reached when everything is open, and nothing at all when off", async () => {
  const workspaceId = randomUUID();
  const path = `/v1/workspaces/${workspaceId}`;
  await api("PUT", path, createBody({ egress: "open", slug: "open-reef", idlePauseSeconds: 3600 }));
  await using client = await session(workspaceId);
  const inGuest = async (script: string) => (await run(client, "bash", "-c", script)).output;
  // Also what the environment says to fetch directly: asked of the proxy, it is asked of the host.
  const fetched = (url: string) =>
    inGuest(`curl -sS -m 20 --noproxy '' -x "$http_proxy" -w ' %{http_code}' ${url}`);

  // A server of the host, on a port that the preset has.
  await using listening = await hostServer();
  const refused = [
    "169.254.169.254",
    "10.1.2.3",
    `127.0.0.1:${listening.port}`,
    `localhost:${listening.port}`,
  ];
  for (const host of [...refused, "[::1]", "[::ffff:10.1.2.3]", "168.63.129.16", ...ownAddresses()]) {
    expect(await fetched(`http://${host}/`), host).toMatch(/egress\.private_address.* 403$/s);
  }
  expect(listening.connectionCount()).toBe(0);
  expect(await fetched("http://10.1.2.3:25/")).toMatch(/egress\.denied.* 403$/s);
  // A name out there is let through: the image's own source of packages.
  const release = "s,/*$,/dists/trixie/InRelease,";
  const source = `$(grep -o 'http[^ ]*' /etc/apt/sources.list | head -1 | sed '${release}')`;
  expect(await fetched(`-o /dev/null ${source}`)).toBe("200");
  // These go through the proxy by themselves: nobody else would answer for that address.
  expect(await inGuest("git ls-remote http://10.1.2.3/x.git 2>&1")).toMatch(/\b403\b/);
  const wheel = "--trusted-host 10.1.2.3 http://10.1.2.3/x-1-py3-none-any.whl";
  expect(await inGuest(`pip download --no-deps --retries 0 -d /tmp/x ${wheel} 2>&1`)).toMatch(/\b403\b/);

  await api("PATCH", path, { egress: "off" });
  expect(await fetched("http://mirror.test/")).toMatch(/egress\.denied.* 403$/s);
  // Root, past the proxy: there is no other way out. Without a vsock device, the host's address is the guest's own loopback.
  const attempts = await inGuest(`sudo python3 -c '${RAW_SOCKETS}'`);
  expect(attempts.split("\n")).toEqual(["tcp ENETUNREACH", "udp ENETUNREACH", "vsock ECONNRESET"]);
  await api("DELETE", path);
});

/** What root's own sockets say, one line each. */
const RAW_SOCKETS = [
  "import errno, socket as s",
  "def tried(name, family, kind, address):",
  "  try:",
  '    one = s.socket(family, kind); one.settimeout(10); one.connect(address); one.send(b"x"); print(name, "sent")',
  "  except OSError as e: print(name, errno.errorcode.get(e.errno, e))",
  'tried("tcp", s.AF_INET, s.SOCK_STREAM, ("1.1.1.1", 443))',
  'tried("udp", s.AF_INET, s.SOCK_DGRAM, ("1.1.1.1", 53))',
  'tried("vsock", s.AF_VSOCK, s.SOCK_STREAM, (2, 1024))',
].join("\n");

function ownAddresses(): string[] {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return all
    .filter(({ internal, scopeid }) => !internal && !scopeid)
    .map(({ address, family }) => (family === "IPv6" ? `[${address}]` : address));
}

/** On the host's loopback, at the first port of the `open` preset that is free. */
async function hostServer() {
  let count = 0;
  for (const port of [8443, 8080, 9418]) {
    const server = createServer((socket) => {
      count += 1;
      socket.destroy();
    });
    const isListening = await new Promise<boolean>((resolve) => {
      server.once("error", () => resolve(false)).listen(port, "127.0.0.1", () => resolve(true));
    });
    if (!isListening) continue;
    return {
      port,
      connectionCount: () => count,
      [Symbol.asyncDispose]: async () => void server.close(),
    };
  }
  throw new Error("8443, 8080 and 9418 are all taken on this host");
}
