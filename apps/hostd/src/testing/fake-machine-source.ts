import { AtollError } from "@atoll/protocol/atoll-error";
import { FIRST_LINK_TOKEN } from "@atoll/protocol/link-handshake";
import type { Machine, MachineRecord } from "../hypervisor/hypervisor.ts";
import type {
  CreatedMachine,
  MachineRequest,
  MachineSource,
  SnapshotRef,
  WorkspaceDisk,
} from "../machines/machine-source.ts";
import type { FakeGuest } from "./fake-guest.ts";
import { FakeMachine } from "./fake-machine.ts";

const TEMPLATE_TOKEN = "ab".repeat(32);
const COMMITMENT = "cd".repeat(32);

/** Machines, disks and snapshots in memory, with a hook in front of each operation to fail or hold it. */
export class FakeMachineSource implements MachineSource {
  readonly calls: string[] = [];
  readonly machines: FakeMachine[] = [];
  readonly snapshots = new Map<string, { guest: FakeGuest; epoch: number; ref: SnapshotRef }>();
  readonly destroyed = new Map<string, { keyDestroyedAtMs: number; dataUnlinkedAtMs: number }>();
  swept: ReadonlySet<string> | undefined;
  /** Awaited before each operation; throw to fail it. */
  before: (operation: string) => Promise<void> | void = () => {};
  /** Called for each machine made, before it is handed over. */
  onMachine: (machine: FakeMachine) => void = () => {};
  readonly readyCount = 1;
  readonly templateState = "ready";
  #ids = 0;

  /** The last machine made. */
  get machine(): FakeMachine {
    const machine = this.machines.at(-1);
    if (machine === undefined) throw new Error("no machine was made");
    return machine;
  }

  async create(request: MachineRequest): Promise<CreatedMachine> {
    await this.#enter("create", request.signal);
    const machine = this.#make();
    machine.guest.expectedToken = TEMPLATE_TOKEN;
    const disk = { diskId: `disk-${this.#ids++}`, imageKey: "image", templateId: "template", epoch: 1 };
    return { machine, disk, linkToken: TEMPLATE_TOKEN, keyCommitment: COMMITMENT };
  }

  async boot(request: MachineRequest, disk: WorkspaceDisk) {
    await this.#enter("boot", request.signal);
    return { machine: this.#make(), disk: { ...disk, epoch: disk.epoch + 1 }, linkToken: FIRST_LINK_TOKEN };
  }

  async resume(request: MachineRequest, disk: WorkspaceDisk, { snapshotId }: SnapshotRef) {
    await this.#enter("resume", request.signal);
    const snapshot = this.snapshots.get(snapshotId);
    if (snapshot === undefined || snapshot.epoch !== disk.epoch) throw new AtollError("snapshot.invalid");
    this.snapshots.delete(snapshotId);
    return { machine: this.#make(snapshot.guest), disk: { ...disk, epoch: disk.epoch + 1 } };
  }

  async pause(_request: MachineRequest, disk: WorkspaceDisk, machine: Machine): Promise<SnapshotRef> {
    const fake = machine as FakeMachine;
    await fake.stop();
    await this.#enter("pause");
    if (!fake.guest.isFrozen) throw new Error("paused without being quiesced");
    const ref = { snapshotId: `snapshot-${this.#ids++}`, sizeBytes: 10, createdAtMs: 0 };
    this.snapshots.set(ref.snapshotId, { guest: fake.guest, epoch: disk.epoch, ref });
    await fake.kill();
    return ref;
  }

  async destroy(workspaceId: string) {
    await this.#enter("destroy");
    const done = this.destroyed.get(workspaceId) ?? { keyDestroyedAtMs: 1, dataUnlinkedAtMs: 2 };
    this.destroyed.set(workspaceId, done);
    return done;
  }

  async destroyOwnerKey() {
    await this.#enter("destroyOwnerKey");
    return { commitment: COMMITMENT, destroyedAtMs: 3 };
  }

  async findSnapshot(_workspaceId: string, disk: WorkspaceDisk): Promise<SnapshotRef | undefined> {
    return [...this.snapshots.values()].find(({ epoch }) => epoch === disk.epoch)?.ref;
  }

  async sweep(known: ReadonlySet<string>): Promise<void> {
    this.swept = known;
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

  #make(guest?: FakeGuest): FakeMachine {
    const machine = new FakeMachine(guest);
    this.machines.push(machine);
    this.onMachine(machine);
    return machine;
  }
}
