/**
 * Machines, disks, snapshots and checkpoints in memory, with a hook in front of each operation to fail or hold it. Disks
 * and machines outlive a hostd; what a real host would answer with corruption is collected in `violations`.
 * Length: that of the port it stands in for.
 */
import { randomUUID } from "node:crypto";
import { AtollError } from "@atoll/protocol/atoll-error";
import type { CheckpointInfo } from "@atoll/protocol/hostd-api";
import { FIRST_LINK_TOKEN } from "@atoll/protocol/link-handshake";
import type { Machine, MachineRecord } from "../hypervisor/hypervisor.ts";
import type {
  CheckpointFacts,
  CheckpointOwner,
  CreatedMachine,
  MachineRequest,
  MachineSource,
  Point,
  PreparedFork,
  SnapshotRef,
  SpaceReservation,
  WorkspaceDisk,
} from "../machines/machine-source.ts";
import { FakeGuest } from "./fake-guest.ts";
import { FakeMachine } from "./fake-machine.ts";
import {
  FakeStoredDisk,
  type GuestMemory,
  guestWith,
  memoryOf,
  type StoredState,
} from "./fake-stored-disk.ts";
import type { HostLife } from "./host-life.ts";

const TEMPLATE_TOKEN = "ab".repeat(32);
const COMMITMENT = "cd".repeat(32);

class FakePoint implements Point {
  readonly state: StoredState;
  readonly stoppedMs = 1;
  isDisposed = false;

  constructor(state: StoredState) {
    this.state = state;
  }

  get hasMemory(): boolean {
    return this.state.memory !== undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.isDisposed = true;
  }
}

export class FakeMachineSource implements MachineSource {
  readonly calls: string[] = [];
  readonly machines: FakeMachine[] = [];
  readonly disks = new Map<string, FakeStoredDisk>();
  readonly points: FakePoint[] = [];
  /** Workspaces that have a key. */
  readonly keys = new Set<string>();
  readonly destroyedKeys = new Set<string>();
  readonly destroyed = new Map<string, { keyDestroyedAtMs: number; dataUnlinkedAtMs: number }>();
  /** What must never happen. Every test may end with `expect(violations).toEqual([])`. */
  readonly violations: string[] = [];
  readonly reservations = new Set<SpaceReservation>();
  /** Not disposed of yet. */
  readonly preparedForks = new Set<PreparedFork>();
  swept: ReadonlySet<string> | undefined;
  /** Awaited before each operation; throw to fail it. */
  before: (operation: string) => Promise<void> | void = () => {};
  /** Called for each machine made, before it is handed over. */
  onMachine: (machine: FakeMachine) => void = () => {};
  readonly readyCount = 1;
  readonly readyForkCount = 0;
  readonly templateState = "ready";
  #ids = 0;

  /** The last machine made. */
  get machine(): FakeMachine {
    const machine = this.machines.at(-1);
    if (machine === undefined) throw new Error("no machine was made");
    return machine;
  }

  get liveMachines(): FakeMachine[] {
    return this.machines.filter(({ isGone }) => !isGone);
  }

  /** As one hostd sees it: what that one asks for after its end has no effect. */
  during(life: HostLife): MachineSource {
    return new Proxy(this, {
      get: (source, name) => {
        const member: unknown = Reflect.get(source, name, source);
        if (typeof member !== "function" || typeof name !== "string") return member;
        // Answers at once: there is nothing for a life to end in front of.
        if (name === "prepareFork") return member.bind(source);
        return (...parameters: unknown[]) =>
          life.step(`source.${name}`, async () => {
            const made = source.machines.length;
            const answer: unknown = await Reflect.apply(member, source, parameters);
            for (const machine of source.machines.slice(made)) machine.life = life;
            return answer;
          });
      },
    });
  }

  /** Power cut: processes are gone, what was durable is there. */
  loseMachines(): void {
    for (const machine of this.liveMachines) machine.exit({ reason: "killed", detail: "power cut" });
  }

  damageSnapshots(): void {
    for (const disk of this.disks.values()) disk.snapshot = undefined;
  }

  async create(request: MachineRequest): Promise<CreatedMachine> {
    await this.#enter("create", request.signal);
    const disk = this.#newDisk(request);
    const machine = this.#make(disk);
    machine.guest.expectedToken = TEMPLATE_TOKEN;
    return {
      machine,
      disk: this.#refOf(disk),
      startsBy: "restore",
      linkToken: TEMPLATE_TOKEN,
      keyCommitment: COMMITMENT,
    };
  }

  async discard({ machine, disk }: Pick<CreatedMachine, "machine" | "disk">): Promise<void> {
    await machine.kill();
    this.disks.delete(disk.diskId);
  }

  async boot(request: MachineRequest, ref: WorkspaceDisk) {
    await this.#enter("boot", request.signal);
    const disk = this.#open(ref);
    this.#raiseEpoch(disk, ref);
    return { machine: this.#boot(disk), disk: this.#refOf(disk), linkToken: FIRST_LINK_TOKEN };
  }

  async resume(request: MachineRequest, ref: WorkspaceDisk, { snapshotId }: SnapshotRef) {
    await this.#enter("resume", request.signal);
    const disk = this.#open(ref);
    const { snapshot } = disk;
    if (
      snapshot?.ref.snapshotId !== snapshotId ||
      snapshot.epoch !== disk.epoch ||
      ref.epoch !== disk.epoch
    ) {
      throw new AtollError("snapshot.invalid");
    }
    this.#raiseEpoch(disk, ref);
    return { machine: this.#make(disk, guestWith(snapshot.memory)), disk: this.#refOf(disk) };
  }

  async findSnapshot(_workspaceId: string, ref: WorkspaceDisk): Promise<SnapshotRef | undefined> {
    const { snapshot, epoch } = this.#disk(ref);
    return snapshot?.epoch === epoch && ref.epoch === epoch ? snapshot.ref : undefined;
  }

  async dropSnapshots(ref: WorkspaceDisk): Promise<void> {
    this.#disk(ref).snapshot = undefined;
  }

  async reserve(_request: MachineRequest, ref: WorkspaceDisk): Promise<SpaceReservation> {
    await this.#enter("reserve");
    this.#disk(ref).snapshot = undefined;
    const reservation: SpaceReservation = {
      bytes: 1,
      [Symbol.dispose]: () => void this.reservations.delete(reservation),
    };
    this.reservations.add(reservation);
    return reservation;
  }

  async seal(request: MachineRequest, ref: WorkspaceDisk, machine: Machine): Promise<SnapshotRef> {
    await this.#enter("seal", request.signal);
    const fake = this.#quiesced(machine, "seal");
    if (fake.isRunning) this.violations.push("sealed a running machine");
    const disk = this.#disk(ref);
    const snapshot = { snapshotId: `snapshot-${this.#ids++}`, sizeBytes: 10, createdAtMs: 0 };
    disk.snapshot = { ref: snapshot, epoch: disk.epoch, memory: memoryOf(fake.guest) };
    await fake.kill();
    return snapshot;
  }

  async capture(
    request: MachineRequest,
    ref: WorkspaceDisk,
    machine: Machine | undefined,
    options: Parameters<MachineSource["capture"]>[3],
  ): Promise<{ disk: WorkspaceDisk; point: Point }> {
    await options.quiesce?.();
    await this.#enter("capture", request.signal);
    const disk = machine === undefined ? this.#open(ref) : this.#disk(ref);
    let memory: GuestMemory | undefined;
    if (machine !== undefined) {
      const fake = this.#quiesced(machine, "capture");
      if (options.withMemory) memory = { ...memoryOf(fake.guest), expectedToken: options.linkToken };
      fake.isRunning = options.letRun;
    } else if (options.withMemory && disk.snapshot?.epoch === disk.epoch) memory = disk.snapshot.memory;
    disk.layerCount += 1;
    const point = new FakePoint({ content: new Map(disk.content), memory });
    this.points.push(point);
    return { disk: this.#refOf(disk), point };
  }

  async keep(
    request: MachineRequest,
    ref: WorkspaceDisk,
    point: Point,
    facts: CheckpointFacts,
  ): Promise<CheckpointInfo> {
    await this.#enter("keep", request.signal);
    const disk = this.#disk(ref);
    const stored = disk.checkpoints.get(facts.checkpointId);
    if (stored !== undefined) return stored.info;
    const info: CheckpointInfo = {
      ...facts,
      createdAtMs: this.#ids++,
      hasMemory: point.hasMemory,
      parentId: disk.parentId,
      ownBytes: 1,
    };
    disk.checkpoints.set(facts.checkpointId, { ...(point as FakePoint).state, info });
    disk.parentId = facts.checkpointId;
    return info;
  }

  async openCheckpoint(
    owner: CheckpointOwner,
    checkpointId: string,
    options: { withMemory?: boolean } = {},
  ): Promise<Point> {
    await this.#enter("openCheckpoint");
    const { content, memory } = this.#disk(owner.disk).checkpoint(checkpointId);
    const point = new FakePoint({ content, memory: options.withMemory === false ? undefined : memory });
    this.points.push(point);
    return point;
  }

  prepareFork(): PreparedFork {
    const prepared: PreparedFork = {
      [Symbol.asyncDispose]: async () => void this.preparedForks.delete(prepared),
    };
    this.preparedForks.add(prepared);
    return prepared;
  }

  async createFrom(request: MachineRequest, point: Point): Promise<CreatedMachine> {
    await this.#enter("createFrom", request.signal);
    const { state, isDisposed } = point as FakePoint;
    if (isDisposed) throw new Error("the point was disposed of");
    const disk = this.#newDisk(request, state.content);
    const common = { disk: this.#refOf(disk), keyCommitment: COMMITMENT };
    if (state.memory === undefined) {
      return { ...common, machine: this.#boot(disk), startsBy: "boot", linkToken: FIRST_LINK_TOKEN };
    }
    const machine = this.#make(disk, guestWith(state.memory));
    return { ...common, machine, startsBy: "restore", linkToken: state.memory.expectedToken };
  }

  async listCheckpoints(owner: CheckpointOwner) {
    await this.#enter("listCheckpoints");
    const disk = this.#disk(owner.disk);
    const checkpoints = [...disk.checkpoints.values()].map(({ info }) => info);
    return {
      checkpoints: checkpoints.toSorted((a, b) => b.createdAtMs - a.createdAtMs),
      currentParentId: disk.parentId,
      usage: { layerBytes: 1, snapshotBytes: disk.snapshot ? 1 : 0, layerCount: disk.layerCount },
    };
  }

  async deleteCheckpoint(owner: CheckpointOwner, checkpointId: string): Promise<void> {
    await this.#enter("deleteCheckpoint");
    this.#disk(owner.disk).checkpoints.delete(checkpointId);
  }

  async restore(request: MachineRequest, ref: WorkspaceDisk, checkpointId: string): Promise<WorkspaceDisk> {
    await this.#enter("restore", request.signal);
    const disk = this.#open(ref);
    const { content } = disk.checkpoint(checkpointId);
    disk.content = new Map(content);
    disk.parentId = checkpointId;
    disk.layerCount += 1;
    this.#raiseEpoch(disk, ref);
    return this.#refOf(disk);
  }

  async resumeCheckpoint(request: MachineRequest, ref: WorkspaceDisk, checkpointId: string) {
    await this.#enter("resumeCheckpoint", request.signal);
    const disk = this.#open(ref);
    const { memory } = disk.checkpoint(checkpointId);
    if (memory === undefined) throw new AtollError("checkpoint.damaged");
    this.#raiseEpoch(disk, ref);
    const machine = this.#make(disk, guestWith(memory));
    return { machine, disk: this.#refOf(disk), linkToken: memory.expectedToken };
  }

  async flatten(request: MachineRequest, ref: WorkspaceDisk): Promise<WorkspaceDisk> {
    await this.#enter("flatten", request.signal);
    const disk = this.#disk(ref);
    disk.layerCount = 1;
    return this.#refOf(disk);
  }

  async openView(owner: CheckpointOwner, checkpointId: string | null) {
    await this.#enter("openView");
    const disk = checkpointId === null ? this.#open(owner.disk) : this.#disk(owner.disk);
    const content = checkpointId === null ? disk.content : disk.checkpoint(checkpointId).content;
    const machine = this.#make(new FakeStoredDisk(randomUUID(), "view"));
    machine.guest.view = new FakeStoredDisk(randomUUID(), "view", content);
    machine.guest.expectedToken = TEMPLATE_TOKEN;
    return { machine, linkToken: TEMPLATE_TOKEN };
  }

  async archive(_request: MachineRequest, ref: WorkspaceDisk): Promise<WorkspaceDisk> {
    const disk = this.#disk(ref);
    await this.#enter("archive");
    this.#requireClosed(disk);
    disk.isArchived = true;
    return this.#refOf(disk);
  }

  async unarchive(_request: MachineRequest, ref: WorkspaceDisk): Promise<WorkspaceDisk> {
    const disk = this.#disk(ref);
    await this.#enter("unarchive");
    disk.isArchived = false;
    return this.#refOf(disk);
  }

  async hasKey(workspaceId: string): Promise<boolean> {
    return this.keys.has(workspaceId);
  }

  async destroyKey(workspaceId: string) {
    await this.#enter("destroyKey");
    if (this.keys.delete(workspaceId)) this.destroyedKeys.add(workspaceId);
  }

  async destroy(workspaceId: string) {
    await this.#enter("destroy");
    if (this.keys.delete(workspaceId)) this.destroyedKeys.add(workspaceId);
    for (const [diskId, disk] of this.disks) {
      if (disk.workspaceId !== workspaceId) continue;
      this.#requireClosed(disk);
      this.disks.delete(diskId);
    }
    const done = this.destroyed.get(workspaceId) ?? { keyDestroyedAtMs: 1, dataUnlinkedAtMs: 2 };
    this.destroyed.set(workspaceId, done);
    return { ...done, keyCommitment: this.destroyedKeys.has(workspaceId) ? COMMITMENT : null };
  }

  async destroyOwnerKey() {
    await this.#enter("destroyOwnerKey");
    return { commitment: COMMITMENT, destroyedAtMs: 3 };
  }

  /** Ends machines that nobody of this life took over, and removes disks that nobody names. */
  async sweep(
    known: ReadonlySet<string>,
    strays: { diskIds: ReadonlySet<string>; isComplete: boolean },
  ): Promise<void> {
    this.swept = known;
    const kept = new Set([...known, ...strays.diskIds]);
    for (const machine of this.liveMachines) {
      const diskId = machine.disk?.diskId ?? "";
      const isSpared = strays.isComplete ? strays.diskIds.has(diskId) : !known.has(diskId);
      if (machine.life.isKilled && !isSpared) machine.exit({ reason: "killed", detail: "" });
    }
    if (!strays.isComplete) return;
    for (const diskId of [...this.disks.keys()]) if (!kept.has(diskId)) this.disks.delete(diskId);
  }

  /** As the hypervisor's `adopt`. */
  async adopt(record: MachineRecord): Promise<Machine | undefined> {
    const live = this.machines.find((one) => one.record.machineId === record.machineId && !one.isGone);
    if (live === undefined) return undefined;
    const machine = live.adopted();
    this.machines.push(machine);
    return machine;
  }

  async #enter(operation: string, signal?: AbortSignal): Promise<void> {
    this.calls.push(operation);
    await this.before(operation);
    signal?.throwIfAborted();
  }

  #newDisk(
    { workspaceId, mayReplaceKey = false }: MachineRequest,
    content?: ReadonlyMap<string, string>,
  ): FakeStoredDisk {
    if (this.destroyed.has(workspaceId) || this.destroyedKeys.has(workspaceId)) {
      throw new AtollError("key.not_found");
    }
    if (this.keys.has(workspaceId) && !mayReplaceKey) throw new AtollError("key.exists");
    this.keys.add(workspaceId);
    const disk = new FakeStoredDisk(`disk-${this.#ids++}`, workspaceId, content);
    this.disks.set(disk.diskId, disk);
    return disk;
  }

  #disk(ref: WorkspaceDisk): FakeStoredDisk {
    const disk = this.disks.get(ref.diskId);
    if (disk === undefined) throw new AtollError("key.not_found", "the disk is gone");
    return disk;
  }

  /** For somebody who opens it; nobody else may have. */
  #open(ref: WorkspaceDisk): FakeStoredDisk {
    const disk = this.#disk(ref);
    this.#requireClosed(disk);
    if (disk.isArchived) throw new AtollError("vm.start_failed", "the disk is archived");
    return disk;
  }

  #requireClosed(disk: FakeStoredDisk): void {
    const holder = this.liveMachines.find((machine) => machine.disk === disk && !machine.life.isKilled);
    if (holder !== undefined) this.violations.push(`${holder.record.machineId} has ${disk.diskId} open`);
  }

  #raiseEpoch(disk: FakeStoredDisk, ref: WorkspaceDisk): void {
    disk.epoch = Math.max(disk.epoch, ref.epoch) + 1;
    disk.snapshot = undefined;
  }

  #refOf({ diskId, epoch }: FakeStoredDisk): WorkspaceDisk {
    return { diskId, imageKey: "image", templateId: "template", epoch };
  }

  #quiesced(machine: Machine, operation: string): FakeMachine {
    const fake = this.machines.findLast(({ record }) => record.machineId === machine.record.machineId);
    if (fake === undefined || fake.isGone) throw new AtollError("vm.gone");
    if (!fake.guest.isFrozen) this.violations.push(`${operation} of a guest that was not quiesced`);
    return fake;
  }

  #boot(disk: FakeStoredDisk): FakeMachine {
    const guest = new FakeGuest();
    guest.diskWrites = Number(disk.read("#writes") ?? 0);
    return this.#make(disk, guest);
  }

  #make(disk: FakeStoredDisk, guest?: FakeGuest): FakeMachine {
    const machine = new FakeMachine(guest, disk);
    this.machines.push(machine);
    this.onMachine(machine);
    return machine;
  }
}
