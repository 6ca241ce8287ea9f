import { randomUUID } from "node:crypto";
import { access, mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManualClock } from "@atoll/base/manual-clock";
import { replaceFile } from "@atoll/durable/replace-file";
import type { CreateWorkspace } from "@atoll/protocol/hostd-api";
import type { WorkspaceState, WorkspaceStatus } from "@atoll/protocol/workspace-status";
import { pino } from "pino";
import { Revocations } from "../sessions/revocations.ts";
import { SessionRegistry } from "../sessions/session-registry.ts";
import { Admission } from "../workspaces/admission.ts";
import { WorkspaceJournal } from "../workspaces/journal/workspace-journal.ts";
import type { WorkspaceRecord } from "../workspaces/journal/workspace-record.ts";
import { StageTimings } from "../workspaces/stage-timings.ts";
import { StatusFeed } from "../workspaces/status-feed.ts";
import type { Workspace } from "../workspaces/workspace.ts";
import type { GuestOutbound } from "../workspaces/workspace-core.ts";
import { WorkspaceRegistry } from "../workspaces/workspace-registry.ts";
import type { FakeMachine } from "./fake-machine.ts";
import { FakeMachineSource } from "./fake-machine-source.ts";
import { HostLife } from "./host-life.ts";

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
  /** How long a pause stays in memory; 0 (the default here) seals at once. */
  pauseGraceMs?: number;
  /** Asked before the journal is even read: kills this host while it recovers. */
  killAt?: HostLife["killAt"];
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
  readonly life = new HostLife();
  /** Workspaces whose views of the disk as it lies there were ended. */
  readonly endedViews: string[] = [];
  readonly notices: string[] = [];
  outbound: GuestOutbound = {
    onOpen: (open) => void open.accept(),
    presetChanged: () => void this.presetChanges++,
  };
  presetChanges = 0;

  static async start(options: FakeHostOptions = {}): Promise<FakeHost> {
    options.previous?.life.kill();
    const directory =
      options.previous?.directory ?? (await mkdtemp(join(await memoryBacked(), "atoll-hostd-")));
    const clock = options.previous?.clock ?? new ManualClock();
    const revocations = await Revocations.open({
      path: join(directory, "sessions", "revoked.json"),
      clock,
      writeDurably: replaceFile,
      onUnreadable: (error) => {
        throw error;
      },
    });
    const host = new FakeHost(directory, options, clock, revocations);
    if (options.killAt !== undefined) host.life.killAt = options.killAt;
    const recovered = host.registry.recover(await host.journal.open());
    await Promise.race([recovered, host.life.killed]);
    return host;
  }

  private constructor(
    directory: string,
    options: FakeHostOptions,
    clock: ManualClock,
    revocations: Revocations,
  ) {
    this.directory = directory;
    this.clock = clock;
    this.source = options.previous?.source ?? new FakeMachineSource();
    this.feed.onAny((status) => this.statuses.push(status));
    const lifeClock = this.life.clock(clock);
    this.journal = new WorkspaceJournal({
      directory: join(directory, "journal"),
      writeDurably: async (path, bytes) => {
        const record = JSON.parse(Buffer.from(bytes).toString()) as WorkspaceRecord;
        await this.life.step(`journal ${record.state ?? "tombstone"}`, async () => {
          this.beforeWrite(record);
          await replaceFile(path, bytes);
        });
      },
      onUnreadable: (path) => this.unreadable.push(path),
    });
    this.sessions = new SessionRegistry({
      clock: this.clock,
      revocations,
      onCountChange: (workspaceId, count) => this.registry.find(workspaceId)?.setSessionCount(count),
    });
    this.registry = new WorkspaceRegistry({
      journal: this.journal,
      source: this.source.during(this.life),
      hypervisor: {
        isolation: "emulated",
        adopt: (record) =>
          this.life.step("adopt", async () => {
            const machine = await this.source.adopt(record);
            if (machine !== undefined) (machine as FakeMachine).life = this.life;
            return machine;
          }),
      },
      pauseGraceMs: options.pauseGraceMs ?? 0,
      endCurrentViews: async (workspaceId) => void this.endedViews.push(workspaceId),
      admission: new Admission({
        memoryMb: options.memoryMb ?? 8192,
        overcommit: 1,
        diskReserveBytes: 1000,
        freeDiskBytes: options.freeDiskBytes ?? (async () => 1e9),
      }),
      timings: new StageTimings(),
      clock: lifeClock,
      logger: pino({ level: "silent" }),
      createOutbound: () => ({
        onOpen: (open) => this.outbound.onOpen(open),
        presetChanged: () => this.outbound.presetChanged(),
      }),
      onStatus: (status) => this.feed.publish(status),
      onNotice: (workspaceId, code) => {
        this.notices.push(code);
        this.sessions.notify(workspaceId, code);
      },
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

  /** Lets time go by in small steps, in which what waits for files or the guest is done as well. */
  async pass(seconds: number): Promise<void> {
    for (let passed = 0; passed < seconds; passed++) {
      this.clock.advance(1000);
      for (let turn = 0; turn < 12; turn++) await new Promise((resolve) => setImmediate(resolve));
      await stat(this.directory);
    }
  }

  /** Lets time go by until `work` is over, for whatever in it waits by the clock. */
  async drive<T>(work: Promise<T>): Promise<T> {
    let isOver = false;
    const over = work.finally(() => {
      isOver = true;
    });
    over.catch(() => {});
    for (let turn = 0; !isOver; turn++) {
      await new Promise((resolve) => setImmediate(resolve));
      if (turn % 16 !== 15) continue;
      // Files are real and take real time: where they are slow, so is the clock.
      await stat(this.directory);
      this.clock.advance(100);
    }
    return over;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.life.kill();
    this.source.loseMachines();
    // A write that was under way at the end of a life still makes its last name.
    await rm(this.directory, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Thousands of durable writes; where the sync itself is the subject the file operations are recorded instead. */
async function memoryBacked(): Promise<string> {
  return access("/dev/shm").then(
    () => "/dev/shm",
    () => tmpdir(),
  );
}
