/** Grace, checkpoints, restore, forks and templates of one workspace on real machines, through hostd's HTTP API. */
import { randomUUID } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "@atoll/base/clock";
import { openChannel } from "@atoll/protocol/call";
import { checkpointInfo, templateInfo } from "@atoll/protocol/hostd-api";
import { processRun } from "@atoll/protocol/messages/process";
import { type WorkspaceStatus, workspaceStatus } from "@atoll/protocol/workspace-status";
import { pino } from "pino";
import { afterAll, beforeAll, expect, it } from "vitest";
import { readEnv } from "../env.ts";
import { type Hostd, startHostd } from "../hostd.ts";
import { createBody, OWNER } from "../testing/fake-host.ts";
import { LinkClient } from "../testing/link-client.ts";
import { TicketMaker } from "../testing/ticket-maker.ts";

let directory: string;
let hostd: Hostd;
const maker = new TicketMaker(systemClock);
const at = (name: string) => join(directory, name);
/** Five starts of emulated machines, one of them a boot, and a template to be baked before. */
const TIMEOUT_MS = 900_000;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "atoll-lifecycle-vm-"));
  await writeFile(at("ticket.pem"), maker.publicPem);
  const env = readEnv({
    ATOLL_DATA: at("data"),
    ATOLL_CACHE: process.env.ATOLL_CACHE ?? join(import.meta.dirname, "../../../../.data/cache"),
    ATOLL_SHARED_TEMPLATES: process.env.ATOLL_SHARED_TEMPLATES,
    ATOLL_HOSTD_SOCKET: at("hostd.sock"),
    ATOLL_LINK_SOCKET: at("link.sock"),
    ATOLL_TICKET_PUBLIC_KEY_FILE: at("ticket.pem"),
    ATOLL_POOL_SIZE: "1",
    ATOLL_PAUSE_GRACE_SECONDS: "3600",
  });
  hostd = await startHostd(env, pino({ level: "warn" }));
});

afterAll(async () => {
  await hostd?.drain();
  await rm(directory, { recursive: true, force: true });
}, TIMEOUT_MS);

async function api(method: string, path: string, body?: unknown): Promise<unknown> {
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  const outgoing = request({ socketPath: at("hostd.sock"), method, path }, async (incoming) => {
    let text = "";
    for await (const chunk of incoming) text += String(chunk);
    if (incoming.statusCode === 200) resolve(JSON.parse(text));
    else reject(new Error(`${method} ${path}: ${text}`));
  });
  outgoing.on("error", reject);
  outgoing.end(body === undefined ? undefined : JSON.stringify(body));
  return promise;
}

const status = async (...call: Parameters<typeof api>): Promise<WorkspaceStatus> =>
  workspaceStatus.parse(await api(...call));

/** What a shell command in the workspace prints. */
async function shell(workspaceId: string, command: string): Promise<string> {
  await using client = await LinkClient.connect(at("link.sock"));
  const ticket = await maker.make({ workspaceId });
  await client.accepted({ type: "session", ticket, tabId: randomUUID(), takeOver: true });
  const argv = ["sh", "-c", command];
  const channel = await openChannel(
    client.mux,
    processRun,
    { argv, timeoutMs: 60_000 },
    { timeoutMs: 60_000 },
  );
  channel.stream.end();
  let output = "";
  for await (const item of channel.items()) {
    if (item.kind === "data") output += Buffer.from(item.bytes).toString();
  }
  return output.trim();
}

it("keeps files and memory over grace, restore and forks, and a template without secrets", {
  timeout: TIMEOUT_MS,
}, async () => {
  const id = randomUUID();
  const path = `/v1/workspaces/${id}`;
  await api("PUT", path, createBody({ idlePauseSeconds: 86_400 }));
  const pid = await shell(
    id,
    "echo v1 >/workspace/work; mkdir -p ~/.ssh; echo key >~/.ssh/id_ed25519; nohup sleep 100000 >/dev/null 2>&1 & echo $!",
  );
  const isThere = (workspaceId: string) =>
    shell(
      workspaceId,
      `test "$(cat /proc/${pid}/comm 2>/dev/null)" = sleep && cat /workspace/work || echo gone`,
    );

  // Within the grace time: the same process, at once.
  expect(await status("POST", `${path}/pause`, {})).toMatchObject({ state: "paused", pausedIn: "memory" });
  expect(await status("POST", `${path}/resume`, {})).toMatchObject({ state: "running", startedBy: "resume" });
  expect(await isThere(id)).toBe("v1");

  // A checkpoint, work after it, and back: files and memory.
  const checkpointId = randomUUID();
  const made = await api("PUT", `${path}/checkpoints/${checkpointId}`, { name: "first", withMemory: true });
  expect(checkpointInfo.parse(made)).toMatchObject({ hasMemory: true });
  await shell(id, `echo v2 >/workspace/work; kill ${pid}`);
  expect(await isThere(id)).toBe("gone");
  const safetyCheckpointId = randomUUID();
  const restored = await status("POST", `${path}/restore`, { checkpointId, safetyCheckpointId });
  expect(restored).toMatchObject({ state: "running", reason: "restored", startedBy: "resume" });
  expect(await isThere(id)).toBe("v1");

  // A live fork has both, and its own name; what each writes is its own.
  const forkId = randomUUID();
  const origin = { kind: "workspace", workspaceId: id } as const;
  const forked = await status(
    "PUT",
    `/v1/workspaces/${forkId}`,
    createBody({ slug: "fork", idlePauseSeconds: 86_400, origin }),
  );
  expect(forked).toMatchObject({ state: "running", startedBy: "fork" });
  expect(await isThere(forkId)).toBe("v1");
  expect(await shell(forkId, "hostname; echo fork >/workspace/work")).toBe("fork");
  expect(await isThere(id)).toBe("v1");
  expect(await shell(forkId, "cat /etc/machine-id")).not.toBe(await shell(id, "cat /etc/machine-id"));
  await api("DELETE", `/v1/workspaces/${forkId}`);

  // A template: the files without the key, and none of the processes.
  const templateId = randomUUID();
  await api("PUT", `/v1/templates/${templateId}`, { ownerId: OWNER, workspaceId: id, checkpointId });
  const template = async () => templateInfo.parse(await api("GET", `/v1/templates/${templateId}`));
  await expect.poll(async () => (await template()).state, { timeout: 300_000, interval: 1000 }).toBe("draft");
  expect((await template()).scrubbed.map((file) => file.path)).toContain("/home/dev/.ssh");
  const secondId = randomUUID();
  const second = createBody({ slug: "second", origin: { kind: "template", templateId } });
  await api("PUT", `/v1/workspaces/${secondId}`, second);
  expect(
    await shell(secondId, "cat /workspace/work; cat ~/.ssh/id_ed25519 2>/dev/null; pgrep -x sleep"),
  ).toBe("v1");
  await api("DELETE", `/v1/owners/${OWNER}`);
});
