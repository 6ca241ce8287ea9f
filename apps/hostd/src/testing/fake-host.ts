import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManualClock } from "@atoll/base/manual-clock";
import { replaceFile } from "@atoll/durable/replace-file";
import type { CreateWorkspace } from "@atoll/protocol/hostd-api";
import type { WorkspaceState, WorkspaceStatus } from "@atoll/protocol/workspace-status";
import { pino } from "pino";
import { SessionRegistry } from "../sessions/session-registry.ts";
import { Admission } from "../workspaces/admission.ts";
import { WorkspaceJournal } from "../workspaces/journal/workspace-journal.ts";
import type { WorkspaceRecord } from "../workspaces/journal/workspace-record.ts";
import { StageTimings } from "../workspaces/stage-timings.ts";
import { StatusFeed } from "../workspaces/status-feed.ts";
import type { Workspace } from "../workspaces/workspace.ts";
import type { GuestOutbound } from "../workspaces/workspace-core.ts";
import { WorkspaceRegistry } from "../workspaces/workspace-registry.ts";
import { FakeMachineSource } from "./fake-machine-source.ts";

export const OWNER = "11111111-1111-4111-8111-111111111111";

export function createBody(overrides: Partial<CreateWorkspace> = {}): CreateWorkspace {
  return {
    ownerId: OWNER,
    slug: "blue-reef",
    image: "base",
    cpus: 1,
    memoryMb: 512,
    diskMb: 2048,
    egress: "off",
    idlePauseSeconds: 60,
    ...overrides,
  };
}

export interface FakeHostOptions {
  /** Take over what an earlier host left, as after a restart. */
  previous?: FakeHost;
  memoryMb?: number;
  freeDiskBytes?: () => Promise<number>;
}

/** The lifecycle and its sessions on fakes, with a real journal in a temporary directory. */
export class FakeHost implements AsyncDisposable {
  readonly clock: ManualClock;
  readonly source: FakeMachineSource;
  readonly feed = new StatusFeed();
  readonly sessions: SessionRegistry;
  readonly registry: WorkspaceRegistry;
  readonly journal: WorkspaceJournal;
  readonly statuses: WorkspaceStatus[] = [];
  readonly unreadable: string[] = [];
  readonly directory: string;
  /** Throw here to fail journal writes. */
  beforeWrite: (record: WorkspaceRecord) => void = () => {};
  /** As by `kill -9`: nothing of this host reaches the disk any more. */
  isKilled = false;
  outbound: GuestOutbound = {
    onOpen: (open) => void open.accept(),
    presetChanged: () => void this.presetChanges++,
  };
  presetChanges = 0;

  static async start(options: FakeHostOptions = {}): Promise<FakeHost> {
    if (options.previous) options.previous.isKilled = true;
    const directory = options.previous?.directory ?? (await mkdtemp(join(tmpdir(), "atoll-hostd-")));
    const host = new FakeHost(directory, options);
    await host.registry.recover(await host.journal.open());
    return host;
  }

  private constructor(directory: string, options: FakeHostOptions) {
    this.directory = directory;
    this.clock = options.previous?.clock ?? new ManualClock();
    this.source = options.previous?.source ?? new FakeMachineSource();
    this.feed.onAny((status) => this.statuses.push(status));
    this.journal = new WorkspaceJournal({
      directory: join(directory, "journal"),
      writeDurably: async (path, bytes) => {
        const record = JSON.parse(Buffer.from(bytes).toString()) as WorkspaceRecord;
        this.beforeWrite(record);
        if (this.isKilled) return new Promise<void>(() => {});
        await replaceFile(path, bytes);
      },
      onUnreadable: (path) => this.unreadable.push(path),
    });
    this.sessions = new SessionRegistry({
      clock: this.clock,
      onCountChange: (workspaceId, count) => this.registry.find(workspaceId)?.setSessionCount(count),
    });
    this.registry = new WorkspaceRegistry({
      journal: this.journal,
      source: this.source,
      hypervisor: { isolation: "emulated", adopt: (record) => this.source.adopt(record) },
      admission: new Admission({
        memoryMb: options.memoryMb ?? 8192,
        overcommit: 1,
        diskReserveBytes: 1000,
        freeDiskBytes: options.freeDiskBytes ?? (async () => 1e9),
      }),
      timings: new StageTimings(),
      clock: this.clock,
      logger: pino({ level: "silent" }),
      createOutbound: () => ({
        onOpen: (open) => this.outbound.onOpen(open),
        presetChanged: () => this.outbound.presetChanged(),
      }),
      onStatus: (status) => this.feed.publish(status),
      onNotice: (workspaceId, code) => this.sessions.notify(workspaceId, code),
      endSessions: (workspaceId, error) => this.sessions.endWorkspace(workspaceId, error),
      checkImage: () => {},
    });
  }

  create(overrides: Partial<CreateWorkspace> = {}, id: string = randomUUID()): Promise<Workspace> {
    return this.registry.create(id, createBody(overrides));
  }

  /** Resolves at the first announcement of `state`, or at once when it is there. */
  async reached(workspace: Workspace, state: WorkspaceState): Promise<void> {
    if (workspace.status.state === state) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const stop = this.feed.on(workspace.id, (status) => {
      if (status.state === state) resolve();
    });
    await promise;
    stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const machine of this.source.machines) await machine.kill();
    await rm(this.directory, { recursive: true, force: true });
  }
}
