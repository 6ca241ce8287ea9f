/**
 * What befalls a guest from inside, on real machines: each has an outcome with a name, within a deadline, and no saved
 * file is lost.
 */
import type { WorkspaceStatus } from "@atoll/protocol/workspace-status";
import { afterAll, beforeAll, expect, test } from "vitest";
import { HostdProcess } from "./testing/hostd-process.ts";

/** What a wrong clock may at most be off by after a resume. */
const CLOCK_OFF_MS = 1000;
const HOUR_SECONDS = 3600;
/** A boot of an emulated guest on a host that is busy. */
const BOOT_MS = 180_000;
/** Until a silent agent is noticed, a minute of trying, and the end of the machine. */
const GIVEN_UP_MS = 180_000;
const LONG = { timeout: 900_000 };

let hostd: HostdProcess;
beforeAll(async () => {
  hostd = await HostdProcess.start({ ATOLL_POOL_SIZE: "0", ATOLL_PAUSE_GRACE_SECONDS: "0" });
}, BOOT_MS);
afterAll(() => hostd?.[Symbol.asyncDispose]());

/** With a file on its disk and one in its memory. */
async function running(): Promise<WorkspaceStatus> {
  const workspace = await hostd.create();
  await hostd.shell(workspace, "echo kept >~/saved && sync && echo here >/dev/shm/memory");
  return workspace;
}

const look = (workspace: WorkspaceStatus) =>
  hostd.shell(workspace, "cat ~/saved /dev/shm/memory 2>/dev/null | tr '\\n' ' '").catch(() => "");
const bootOf = (workspace: WorkspaceStatus) =>
  hostd.shell(workspace, "cat /proc/sys/kernel/random/boot_id").catch(() => "");
const start = (workspace: WorkspaceStatus) =>
  hostd.ask("POST", `/v1/workspaces/${workspace.workspaceId}/resume`, {});

/** Done by the guest a moment after this was answered. The agent is the parent of what it runs. */
const later = (workspace: WorkspaceStatus, script: string) =>
  hostd.shell(workspace, `agent=$PPID setsid sh -c 'sleep 1; ${script}' >/dev/null 2>&1 </dev/null &`);

const reaches = (workspace: WorkspaceStatus, status: Partial<WorkspaceStatus>, timeout: number) =>
  expect.poll(() => hostd.status(workspace.workspaceId), { timeout, interval: 500 }).toMatchObject(status);

test("the clock of a guest that was sealed with a wrong one is right when it runs again", LONG, async () => {
  const workspace = await running();
  const offMs = async () => {
    const beforeMs = Date.now();
    const guestMs = Number(await hostd.shell(workspace, "date +%s%3N"));
    const afterMs = Date.now();
    return guestMs < beforeMs ? beforeMs - guestMs : Math.max(guestMs - afterMs, 0);
  };
  await hostd.shell(workspace, `sudo date -s "@$(($(date +%s) - ${HOUR_SECONDS}))"`);
  expect(await offMs()).toBeGreaterThan((HOUR_SECONDS / 2) * 1000);
  await hostd.ask("POST", `/v1/workspaces/${workspace.workspaceId}/pause`, {});
  await reaches(workspace, { state: "paused", pausedIn: "disk" }, BOOT_MS);
  await start(workspace);
  expect(await look(workspace)).toBe("kept here");
  expect(await offMs()).toBeLessThanOrEqual(CLOCK_OFF_MS);
});

test(
  "a kernel panic and reboots boot it again, and a loop of them ends with its own name",
  LONG,
  async () => {
    const workspace = await running();
    for (const cause of ["c", "b", "b"]) {
      const before = await bootOf(workspace);
      await later(workspace, `echo ${cause} | sudo tee /proc/sysrq-trigger`);
      await expect
        .poll(() => bootOf(workspace), { timeout: BOOT_MS, interval: 500 })
        .not.toSatisfy((boot: string) => boot === "" || boot === before);
      await reaches(workspace, { state: "running", reason: "guest_halted", startedBy: "boot" }, BOOT_MS);
      expect(await look(workspace)).toBe("kept");
    }
    await later(workspace, "echo b | sudo tee /proc/sysrq-trigger");
    await reaches(
      workspace,
      { state: "failed", reason: "guest_halted", errorCode: "vm.reboot_loop" },
      BOOT_MS,
    );
    await start(workspace);
    expect(await look(workspace)).toBe("kept");
  },
);

test("an agent that is killed is back in the same guest", LONG, async () => {
  const workspace = await running();
  const before = [await bootOf(workspace), await hostd.shell(workspace, "echo $PPID")];
  await later(workspace, 'sudo kill -KILL "$agent"');
  const life = async () => [
    await bootOf(workspace),
    await hostd.shell(workspace, "echo $PPID").catch(() => ""),
  ];
  await expect
    .poll(life, { timeout: BOOT_MS, interval: 500 })
    .toSatisfy(([boot, agent]: string[]) => boot === before[0] && agent !== "" && agent !== before[1]);
  expect(await look(workspace)).toBe("kept here");
  expect(await hostd.status(workspace.workspaceId)).toMatchObject({ state: "running", startedBy: "create" });
});

test(
  "an agent that stands still is given up, which has its own name, and the workspace starts again",
  LONG,
  async () => {
    const workspace = await running();
    await later(workspace, 'sudo kill -STOP "$agent"');
    const code = "vm.agent_silent";
    await reaches(workspace, { state: "failed", reason: "vm_exited", errorCode: code }, GIVEN_UP_MS);
    await start(workspace);
    expect(await hostd.status(workspace.workspaceId)).toMatchObject({
      ...{ state: "running", startedBy: "boot" },
      lostMemory: { code },
    });
    expect(await look(workspace)).toBe("kept");
  },
);
