import { randomBytes, randomUUID } from "node:crypto";
import type { Machine } from "../hypervisor/hypervisor.ts";
import type {
  CheckpointFacts,
  CheckpointOwner,
  CreatedMachine,
  MachineRequest,
  MachineSource,
  Point,
  PreparedFork,
  SnapshotRef,
  WorkspaceDisk,
} from "../machines/machine-source.ts";
import { GuestProbe, type ProbeStart } from "./guest-probe.ts";

/** A workspace as the lifecycle holds it, without the lifecycle: what the journal would say, and the guest's link. */
export class LiveWorkspace {
  readonly source: MachineSource;
  readonly request: MachineRequest;
  disk: WorkspaceDisk;
  machine: Machine | undefined;
  linkToken = randomBytes(32).toString("hex");
  #guest: GuestProbe | undefined;

  constructor(source: MachineSource, request: MachineRequest, disk: WorkspaceDisk) {
    this.source = source;
    this.request = request;
    this.disk = disk;
  }

  static async create(source: MachineSource, request: MachineRequest): Promise<LiveWorkspace> {
    return LiveWorkspace.begin(source, request, await source.create(request));
  }

  static async begin(
    source: MachineSource,
    request: MachineRequest,
    created: CreatedMachine,
  ): Promise<LiveWorkspace> {
    const workspace = new LiveWorkspace(source, request, created.disk);
    const reason = created.startsBy === "boot" ? "boot" : "create";
    await workspace.run(created.machine, { reason, expectedToken: created.linkToken });
    return workspace;
  }

  get guest(): GuestProbe {
    if (this.#guest === undefined) throw new Error("the workspace does not run");
    return this.#guest;
  }

  get owner(): CheckpointOwner {
    const { ownerId, workspaceId } = this.request;
    return { ownerId, workspaceId, disk: this.disk };
  }

  async run(machine: Machine, start: ProbeStart): Promise<void> {
    this.machine = machine;
    this.#guest = await GuestProbe.start(machine, { ...start, linkToken: this.linkToken });
  }

  async boot(options?: { isForMany: boolean }): Promise<void> {
    const booted = await this.source.boot(this.request, this.disk, options);
    this.disk = booted.disk;
    await this.run(booted.machine, { reason: "boot", expectedToken: booted.linkToken });
  }

  async pause(): Promise<SnapshotRef> {
    await this.guest.quiesce();
    this.close();
    const machine = this.#running();
    await machine.stop();
    const snapshot = await this.source.seal(this.request, this.disk, machine);
    this.machine = undefined;
    return snapshot;
  }

  async resume(snapshot: SnapshotRef): Promise<void> {
    const resumed = await this.source.resume(this.request, this.disk, snapshot);
    this.disk = resumed.disk;
    await this.run(resumed.machine, { reason: "resume", expectedToken: this.linkToken });
  }

  async stop(): Promise<void> {
    if (this.machine === undefined) return;
    await this.guest.quiesce();
    this.close();
    await this.machine.kill();
    this.machine = undefined;
  }

  async capture(withMemory = true): Promise<Point> {
    const { machine, linkToken } = this;
    if (machine !== undefined) await this.guest.quiesce();
    const options = { withMemory, linkToken, letRun: true };
    const { disk, point } = await this.source.capture(this.request, this.disk, machine, options);
    this.disk = disk;
    if (machine !== undefined) await this.guest.thaw();
    return point;
  }

  async checkpoint(options: { withMemory?: boolean } & Partial<CheckpointFacts> = {}): Promise<string> {
    const { withMemory = true, checkpointId = randomUUID(), name = "one", kind = "named" } = options;
    await using point = await this.capture(withMemory);
    await this.source.keep(this.request, this.disk, point, { checkpointId, name, kind });
    return checkpointId;
  }

  async restore(checkpointId: string): Promise<void> {
    this.disk = await this.source.restore(this.request, this.disk, checkpointId);
  }

  async resumeCheckpoint(checkpointId: string): Promise<void> {
    const resumed = await this.source.resumeCheckpoint(this.request, this.disk, checkpointId);
    this.disk = resumed.disk;
    await this.run(resumed.machine, { reason: "create", expectedToken: resumed.linkToken });
  }

  async fork(request: MachineRequest, point: Point, prepared?: PreparedFork): Promise<LiveWorkspace> {
    return LiveWorkspace.begin(this.source, request, await this.source.createFrom(request, point, prepared));
  }

  /** Of the present machine, as it runs. */
  prepareFork(request: MachineRequest): PreparedFork {
    const { size } = this.request;
    return this.source.prepareFork(request, { owner: this.owner, machine: this.#running(), size });
  }

  async destroy(): Promise<void> {
    const { workspaceId, ownerId } = this.request;
    await this.source.destroy(workspaceId, ownerId, this.disk);
  }

  close(): void {
    this.#guest?.close();
    this.#guest = undefined;
  }

  #running(): Machine {
    if (this.machine === undefined) throw new Error("the workspace has no machine");
    return this.machine;
  }
}
