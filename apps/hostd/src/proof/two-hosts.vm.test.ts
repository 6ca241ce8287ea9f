/**
 * Two real hostd processes with one data directory and a real machine: the first stands still past its lease, the second
 * takes over, the first wakes up. At no time do two processes write one disk, nothing saved is lost, and whoever lost
 * ends without having changed anything.
 */
import { readdir, readFile } from "node:fs/promises";
import type { WorkspaceStatus } from "@atoll/protocol/workspace-status";
import { expect, test } from "vitest";
import { isAlive } from "../hypervisor/qemu/process-identity.ts";
import { workspaceRecord } from "../workspaces/journal/workspace-record.ts";
import { HostdProcess } from "./testing/hostd-process.ts";

const ENVIRONMENT = { ATOLL_POOL_SIZE: "0", ATOLL_PAUSE_GRACE_SECONDS: "0" };
const LEASE_LOST_EXIT = 75;
const TIMEOUT_MS = 420_000;

const lifecycle = (hostd: HostdProcess, { workspaceId }: WorkspaceStatus, what: string) =>
  hostd.api("POST", `/v1/workspaces/${workspaceId}/${what}`, {});

async function recordOf(hostd: HostdProcess, { workspaceId }: WorkspaceStatus) {
  const path = hostd.at(`data/journal/workspaces/${workspaceId}.json`);
  return workspaceRecord.parse(JSON.parse(await readFile(path, "utf8")));
}

/** A running workspace with something saved, on a hostd that stands still from here on. */
async function frozen() {
  const first = await HostdProcess.start(ENVIRONMENT);
  const workspace = await first.create({ slug: "two-hosts" });
  await first.shell(workspace, "echo saved > ~/kept; sync");
  const { machine } = await recordOf(first, workspace);
  if (machine === null) throw new Error("a running workspace without a machine");
  first.signal("SIGSTOP");
  return { first, workspace, machine };
}

test("on the same machine the one that comes back refuses, and leaves what its successor has", {
  timeout: TIMEOUT_MS,
}, async () => {
  const { first, workspace, machine } = await frozen();
  await using _first = first;
  await using second = await HostdProcess.start(ENVIRONMENT, { beside: first });

  // The machine's monitor belongs to a process that answers nothing: it is ended, and that is said.
  expect(isAlive(machine)).toBe(false);
  expect(await second.status(workspace.workspaceId)).toMatchObject({
    state: "stopped",
    reason: "host_restarted",
    lostMemory: { code: "vm.gone" },
  });
  expect((await lifecycle(second, workspace, "resume")).status).toBe(200);
  expect(await second.shell(workspace, "cat ~/kept; echo again > ~/kept; sync")).toBe("saved");
  const before = await recordOf(second, workspace);

  first.signal("SIGCONT");
  expect(await first.exited).toBe(LEASE_LOST_EXIT);
  expect(await recordOf(second, workspace)).toEqual(before);
  expect(before.machine !== null && isAlive(before.machine)).toBe(true);
  expect(await second.shell(workspace, "cat ~/kept")).toBe("again");
  expect(await readdir(second.at("data/lease"))).toEqual(["2.json"]);
});

test("a host that another one took over from ends its machines, which nobody else can", {
  timeout: TIMEOUT_MS,
}, async () => {
  const { first, workspace, machine } = await frozen();
  await using _first = first;
  await using second = await HostdProcess.start(ENVIRONMENT, { beside: first, isElsewhere: true });
  expect(await second.status(workspace.workspaceId)).toMatchObject({
    state: "stopped",
    lostMemory: { code: "vm.gone" },
  });

  // The first one's machine goes on where the second cannot see it. Its disk is not opened a second time.
  expect(isAlive(machine)).toBe(true);
  const refused = await lifecycle(second, workspace, "resume");
  expect(refused.status).not.toBe(200);
  expect(refused.body).toEqual({ code: "vm.start_failed" });
  expect(await second.status(workspace.workspaceId)).toMatchObject({
    state: "failed",
    errorCode: "vm.start_failed",
  });
  expect(isAlive(machine)).toBe(true);

  first.signal("SIGCONT");
  expect(await first.exited).toBe(LEASE_LOST_EXIT);
  expect(isAlive(machine)).toBe(false);
  expect((await lifecycle(second, workspace, "resume")).status).toBe(200);
  expect(await second.shell(workspace, "cat ~/kept")).toBe("saved");
});
