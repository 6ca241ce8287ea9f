/** Everything a user can do that leaves something on a host, once, with a mark in each. */
import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { call, openChannel } from "@atoll/protocol/call";
import { templateInfo } from "@atoll/protocol/hostd-api";
import { filesWrite } from "@atoll/protocol/messages/files";
import { terminalAttach, terminalOpen } from "@atoll/protocol/messages/terminal";
import type { Mux } from "@atoll/protocol/mux";
import type { MuxStream } from "@atoll/protocol/mux-stream";
import type { WorkspaceStatus } from "@atoll/protocol/workspace-status";
import { z } from "zod";
import type { Entry, Marks } from "./data-map.ts";
import type { HostdProcess } from "./hostd-process.ts";

const POLL_MS = 250;
/** A template boots once more, which takes minutes on a busy machine. */
const WAIT_MS = 400_000;
const UPLOAD_BYTES = 1024 * 1024;

export interface Planted {
  main: WorkspaceStatus;
  /** Checkpoint of `main` with the older generation. */
  older: string;
  templateId: string;
  /** Where the entry's mark is found by its owner's keys: a file of whose directory. */
  places: ReadonlyMap<Entry, string>;
}

const record = z.object({ disk: z.object({ diskId: z.string() }) });

/** Of a workspace or template, as the journal has it. */
export async function diskIdOf(
  hostd: HostdProcess,
  kind: "workspaces" | "templates",
  id: string,
): Promise<string> {
  const text = await readFile(hostd.at(`data/journal/${kind}/${id}.json`), "utf8");
  return record.parse(JSON.parse(text)).disk.diskId;
}

export async function plantMarks(hostd: HostdProcess, ownerId: string, marks: Marks): Promise<Planted> {
  const save = (entry: Entry, path: string) => `${marks.inShell(entry)}; echo $m > ${path}; sync`;
  const main = await hostd.create({ ownerId, slug: "eves-reef" });
  const at = `/v1/workspaces/${main.workspaceId}`;
  const [older, safety, templateId] = [randomUUID(), randomUUID(), randomUUID()];
  await hostd.shell(main, save("older disk", "~/older"));
  await hostd.shell(main, save("older memory", "/dev/shm/older"));
  await hostd.shell(main, save("template", "~/taught"));
  await using uploading = await hostd.session(main);
  const upload = await beginUpload(uploading.mux, marks.of("half-way upload"));
  await until("a file half-way there", async () => {
    const count = await hostd.shell(main, "sync; find /workspace -name '.atoll-tmp-*' -size +0 | wc -l");
    return count === "1" ? true : undefined;
  });
  const name = marks.of("name of a checkpoint");
  await hostd.ask("PUT", `${at}/checkpoints/${older}`, { name, withMemory: true });
  upload.reset();
  await hostd.shell(main, save("before a restore", "~/undone"));
  await hostd.ask("POST", `${at}/restore`, { checkpointId: older, safetyCheckpointId: safety });
  await hostd.shell(main, "test ! -e ~/undone && rm -f ~/older /dev/shm/older && sync");
  await hostd.shell(main, save("disk", "~/kept"));
  await hostd.shell(main, save("memory", "/dev/shm/kept"));
  const typed = `${marks.inShell("scrollback")}; echo $m\n`;
  await typeIntoTerminal(hostd, main, typed, marks.of("scrollback"));

  const origin = { kind: "workspace" as const, workspaceId: main.workspaceId };
  const fork = await hostd.create({ ownerId, slug: "eves-fork", origin });
  await hostd.shell(fork, save("fork", "~/forked"));
  await hostd.ask("POST", `/v1/workspaces/${fork.workspaceId}/stop`, {});

  await makeTemplate(hostd, templateId, { ownerId, workspaceId: main.workspaceId, checkpointId: older });
  const taught = { kind: "template" as const, templateId };
  const course = await hostd.create({ ownerId, slug: "eves-course", origin: taught });
  await hostd.shell(course, save("course", "/dev/shm/course"));
  await hostd.ask("POST", `/v1/workspaces/${course.workspaceId}/pause`, {});
  const old = await fileAway(hostd, ownerId, {
    save: save("archive", "~/filed"),
    reason: marks.of("reason of a lease"),
  });
  await hostd.ask("POST", `${at}/pause`, {});

  const [mainDisk, forkDisk, courseDisk, oldDisk, templateDisk] = await Promise.all([
    ...[main, fork, course, old].map(({ workspaceId }) => diskIdOf(hostd, "workspaces", workspaceId)),
    diskIdOf(hostd, "templates", templateId),
  ]);
  const places = new Map<Entry, string>([
    ["disk", `${mainDisk} disk layer`],
    ["memory", `${mainDisk} snapshot`],
    ["scrollback", `${mainDisk} snapshot`],
    ["older disk", `${mainDisk} checkpoint ${older} layer`],
    ["older memory", `${mainDisk} memory of checkpoint ${older}`],
    ["half-way upload", `${mainDisk} checkpoint ${older} layer`],
    ["before a restore", `${mainDisk} checkpoint ${safety} layer`],
    ["fork", `${forkDisk} disk layer`],
    ["template", `${templateDisk} disk layer`],
    ["course", `${courseDisk} snapshot`],
    ["archive", `${oldDisk} disk layer`],
  ]);
  return { main, older, templateId, places };
}

/** The beginning of a file, and no word of its end. */
async function beginUpload(mux: Mux, mark: string): Promise<MuxStream> {
  const wish = { path: "/workspace/upload", sizeBytes: UPLOAD_BYTES, expect: "absent" };
  const stream = mux.open(filesWrite.name, wish);
  stream.reply.catch(() => {});
  await stream.write(Buffer.from(`${mark}\n`.repeat(1000)));
  return stream;
}

async function makeTemplate(
  hostd: HostdProcess,
  templateId: string,
  wish: { ownerId: string; workspaceId: string; checkpointId: string },
): Promise<void> {
  await hostd.ask("PUT", `/v1/templates/${templateId}`, wish);
  await until("template", async () => {
    const info = templateInfo.parse(await hostd.ask("GET", `/v1/templates/${templateId}`));
    if (info.state === "failed") throw new Error(`the template failed: ${info.errorCode}`);
    return info.state === "making" ? undefined : info;
  });
  await hostd.ask("POST", `/v1/templates/${templateId}/publish`, {});
}

/** Paused with a lease in its record, then stopped and archived by its plan. */
async function fileAway(
  hostd: HostdProcess,
  ownerId: string,
  { save, reason }: { save: string; reason: string },
): Promise<WorkspaceStatus> {
  const retention = { stopAfterPausedSeconds: 1, archiveAfterStoppedSeconds: 1 };
  const old = await hostd.create({ ownerId, slug: "eves-old", retention });
  await hostd.shell(old, `${save}; atoll keep-awake 2h ${reason}`);
  await until("lease", async () => {
    const { awakeBecause = [] } = await hostd.status(old.workspaceId);
    return awakeBecause.find(({ detail }) => detail === reason);
  });
  await hostd.ask("POST", `/v1/workspaces/${old.workspaceId}/pause`, {});
  await until("archive", async () => {
    const { state } = await hostd.status(old.workspaceId);
    return state === "archived" ? true : undefined;
  });
  return old;
}

export async function until<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  const endMs = performance.now() + WAIT_MS;
  for (;;) {
    const value = await look();
    if (value !== undefined) return value;
    if (performance.now() > endMs) throw new Error(`not in time: ${what}`);
    await delay(POLL_MS);
  }
}

async function typeIntoTerminal(
  hostd: HostdProcess,
  workspace: WorkspaceStatus,
  text: string,
  shown: string,
): Promise<void> {
  await using client = await hostd.session(workspace);
  const { terminalId } = await call(client.mux, terminalOpen, { cols: 80, rows: 24 });
  const screen = await openChannel(client.mux, terminalAttach, { terminalId });
  await screen.stream.write(Buffer.from(text));
  let output = "";
  for await (const item of screen.items()) {
    if (item.kind === "data") output += Buffer.from(item.bytes).toString();
    if (output.includes(shown)) return;
  }
  throw new Error(`the terminal ended at ${output}`);
}
