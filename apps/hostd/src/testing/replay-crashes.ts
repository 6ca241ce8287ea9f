/** Whole operations on a workspace's disk, with a power cut at every moment of them. */
import { mkdtemp, readdir, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { everyCrash } from "@atoll/durable/testing/every-crash";
import type { Operation, RecordingFileOps } from "@atoll/durable/testing/recording-file-ops";
import { expect } from "vitest";
import { FakeMachineHost } from "../hypervisor/fake/fake-hypervisor.ts";
import { LiveWorkspace } from "./live-workspace.ts";
import { TestSource } from "./test-source.ts";

/** The same data directory, with the workspaces' part as the crash left it, in a life after a reboot. */
async function lifeAfter(before: TestSource, workspaces: string) {
  const directory = await mkdtemp(join(tmpdir(), "atoll-after-"));
  for (const name of await readdir(before.directory)) {
    const target = name === "workspaces" ? workspaces : join(before.directory, name);
    await symlink(target, join(directory, name));
  }
  const previous = { directory, host: new FakeMachineHost() } as TestSource;
  const at = await TestSource.open({ previous });
  return {
    at,
    [Symbol.asyncDispose]: async () => {
      await at.source[Symbol.asyncDispose]();
      await rm(directory, { recursive: true });
    },
  };
}

export interface Replay {
  at: TestSource;
  workspace: LiveWorkspace;
  run: (recorder: RecordingFileOps) => Promise<void>;
  check: (after: LiveWorkspace, acknowledged: readonly string[]) => Promise<void>;
  omit?: (operation: Operation) => boolean;
  /** Disks that the journal knows of as soon as something was acknowledged. */
  made?: () => string[];
  /** Tidying up after a crash may find things missing that are on their way out. */
  mayReportFaults?: boolean;
}

/** The journal of the next life knows the disk as it was before the operation. */
export async function replay(options: Replay): Promise<number> {
  const { at, workspace, run, check, omit, made, mayReportFaults } = options;
  const before = { ...workspace.disk };
  const { stateCount } = await everyCrash({
    directory: join(at.directory, "workspaces"),
    run,
    ...(omit ? { omit } : {}),
    check: async (crashed, { acknowledged }) => {
      await using life = await lifeAfter(at, crashed);
      const madeIds = acknowledged.length > 0 ? (made?.() ?? []) : [];
      await life.at.source.sweep(new Set([before.diskId, ...madeIds]));
      await check(new LiveWorkspace(life.at.source, workspace.request, { ...before }), acknowledged);
      if (mayReportFaults !== true) expect(life.at.faults).toEqual([]);
    },
  });
  return stateCount;
}

export async function savedFile(after: LiveWorkspace): Promise<string | undefined> {
  await after.boot();
  const value = await after.guest.readDisk("a");
  await after.stop();
  return value;
}
