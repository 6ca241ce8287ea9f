/**
 * All workspaces of this host by id: creating, finding, erasing, starting over after a crash, draining.
 * Length: each of these changes the one map and its tombstones, in an order that the others rely on.
 */
import { availableParallelism } from "node:os";
import { isDeepStrictEqual } from "node:util";
import { LimitedTurns } from "@atoll/base/limited-turns";
import { AtollError, toAtollError } from "@atoll/protocol/atoll-error";
import type { CreateWorkspace, Erasure, OwnerUsage, tombstoneList } from "@atoll/protocol/hostd-api";
import type { WorkspaceStatus } from "@atoll/protocol/workspace-status";
import type { z } from "zod";
import { diskError } from "../disks/disk-error.ts";
import type { Machine } from "../hypervisor/hypervisor.ts";
import type { MachineRequest, Point, PreparedFork } from "../machines/machine-source.ts";
import { DamagedRecords } from "./damaged-records.ts";
import { erasureOf } from "./erase-workspace.ts";
import type { JournalContent } from "./journal/workspace-journal.ts";
import type { TombstoneRecord, WorkspaceRecord } from "./journal/workspace-record.ts";
import { newWorkspaceRecord } from "./new-workspace-record.ts";
import { sumUsage } from "./owner-usage.ts";
import { TemplateRegistry } from "./template-registry.ts";
import { Workspace } from "./workspace.ts";
import type { WorkspaceDependencies } from "./workspace-core.ts";

export interface WorkspaceRegistryOptions
  extends Omit<
    WorkspaceDependencies,
    "isDraining" | "openOrigin" | "prepareOrigin" | "startTurns" | "forkTurns"
  > {
  /** Restored guests that wake up at once; as many as there are cores. */
  startsAtOnce?: number;
  /** Ends the sessions and views of a workspace being erased; resolves when none is left. */
  endSessions: (workspaceId: string, error: AtollError) => Promise<void> | void;
  /** @throws AtollError image.unknown */
  checkImage: (name: string) => void;
}

export interface OwnerErasure {
  erasures: Erasure[];
  ownerKeyCommitment: string | null;
  ownerKeyDestroyedAtMs: number | null;
}

/** Pauses at once in a drain: sealing is bound by the cores. */
const DRAIN_PARALLEL = 2;

export class WorkspaceRegistry {
  readonly #options: WorkspaceRegistryOptions;
  readonly #workspaces = new Map<string, Workspace>();
  readonly #tombstones = new Map<string, TombstoneRecord>();
  readonly #damaged = new DamagedRecords();
  /** Of records that cannot be read: they run on, and nobody can do more for them. */
  readonly #strayMachines = new Map<string, Machine>();
  /** Until their record is written. */
  readonly #creating = new Map<string, Promise<void>>();
  readonly templates: TemplateRegistry;
  readonly #startTurns: LimitedTurns;
  readonly #forkTurns: LimitedTurns;
  #recoveredAtMs = 0;
  #isDraining = false;

  constructor(options: WorkspaceRegistryOptions) {
    this.#options = options;
    const { startsAtOnce: atOnce = availableParallelism() } = options;
    this.#startTurns = new LimitedTurns({ atOnce });
    this.#forkTurns = new LimitedTurns({ atOnce });
    const damaged = this.#damaged;
    this.templates = new TemplateRegistry({ ...options, damaged, workspace: (id) => this.get(id) });
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  /** Somebody waits for one of them. */
  get isStarting(): boolean {
    return this.list().some(({ record: { state } }) => state === "creating" || state === "resuming");
  }

  list(): Workspace[] {
    return [...this.#workspaces.values()];
  }

  /** Of all that are here, also of those whose record cannot be read, as far as they are anybody's. */
  statuses(): WorkspaceStatus[] {
    const { hypervisor } = this.#options;
    const damaged = this.#damaged.statuses(this.#recoveredAtMs, hypervisor.isolation);
    return [
      ...this.list().map(({ status }) => status),
      ...damaged.filter(({ workspaceId }) => !this.#tombstones.has(workspaceId)),
    ];
  }

  /** @throws AtollError workspace.not_found, workspace.record_damaged */
  get(workspaceId: string): Workspace {
    const workspace = this.#workspaces.get(workspaceId);
    this.#damaged.refuse(workspaceId);
    if (workspace === undefined) throw new AtollError("workspace.not_found");
    return workspace;
  }

  /** @throws AtollError workspace.record_damaged when it is this owner's and its record cannot be read */
  refuseDamaged(workspaceId: string, ownerId: string): void {
    if (this.#damaged.ownerOf(workspaceId) === ownerId) this.#damaged.refuse(workspaceId);
  }

  find(workspaceId: string): Workspace | undefined {
    return this.#workspaces.get(workspaceId);
  }

  /** Takes the journal's records; every workspace has recovered, or failed to with a log line, when it resolves. */
  async recover(content: JournalContent): Promise<void> {
    this.#recoveredAtMs = this.#options.clock.now();
    for (const tombstone of content.tombstones) this.#tombstones.set(tombstone.id, tombstone);
    this.#damaged.add(content.unreadable);
    for (const record of content.workspaces) this.#add(this.#entombed(record));
    await this.templates.recover(content.templates);
    await Promise.all(
      this.list().map((workspace) =>
        workspace.recover().catch((cause: unknown) => {
          const error = toAtollError(cause);
          this.#options.logger.error(
            { workspaceId: workspace.id, code: error.code, err: error },
            "recovery failed",
          );
        }),
      ),
    );
    await this.#adoptStrays();
    const diskIds = this.list().flatMap(({ record }) =>
      record.disk !== null && record.state !== "erased" ? [record.disk.diskId] : [],
    );
    const known = new Set([...diskIds, ...this.templates.diskIds]);
    await this.#options.source.sweep(known, this.#damaged.disks);
  }

  /**
   * Resolves when it runs. Repeating with the same body answers the same workspace, and starts it when the first try
   * never got it running.
   */
  async create(workspaceId: string, body: CreateWorkspace): Promise<Workspace> {
    this.#damaged.refuse(workspaceId, body.ownerId);
    if (this.#tombstones.has(workspaceId) || this.#tombstones.has(body.ownerId)) {
      throw new AtollError("workspace.deleted");
    }
    const existing = this.#workspaces.get(workspaceId);
    if (existing !== undefined) {
      this.#checkSame(existing, body);
      await this.#creating.get(workspaceId);
      if (existing.record.startedBy === null) await existing.start("requested");
      return existing;
    }
    if (this.#isDraining) throw new AtollError("host.draining");
    this.#options.checkImage(body.image);
    if (body.origin?.kind === "workspace" && body.origin.workspaceId === workspaceId) {
      throw new AtollError("request.invalid", "a fork of itself", { details: { field: "origin" } });
    }
    const record = newWorkspaceRecord(workspaceId, body, this.#options.clock.now());
    // In the map before the first await: a second create of the same id meets this one.
    const workspace = this.#add(record);
    const creating = this.#noteCreation(record).finally(() => this.#creating.delete(workspaceId));
    this.#creating.set(workspaceId, creating);
    await creating;
    this.#options.onStatus(workspace.status);
    await workspace.start("requested");
    return workspace;
  }

  /**
   * Repeatable. One that this host does not know leaves a tombstone, so that a late create stays refused, and loses its
   * key all the same. @throws AtollError workspace.record_damaged when more than the key may be left
   */
  async erase(workspaceId: string): Promise<Erasure[]> {
    const workspace = this.#workspaces.get(workspaceId);
    if (workspace === undefined) return this.#eraseUnknown(workspaceId);
    await workspace.entomb();
    await this.#options.endSessions(workspaceId, new AtollError("workspace.deleted"));
    const erasure = await workspace.erase();
    return erasure === undefined ? [] : [erasure];
  }

  async eraseOwner(ownerId: string): Promise<OwnerErasure> {
    // First the tombstone: no create may slip in while the workspaces are going.
    const done = this.#tombstones.get(ownerId);
    if (done === undefined) {
      await this.#entomb("owner", ownerId, { ownerKeyCommitment: null, ownerKeyDestroyedAtMs: null });
    }
    const owned = this.list().filter(({ record }) => record.ownerId === ownerId);
    const erased = await Promise.all(owned.map(({ id }) => this.erase(id)));
    const erasures = [...erased.flat(), ...(await this.templates.eraseOfOwner(ownerId))];
    if (done !== undefined && done.ownerKeyDestroyedAtMs !== null) {
      this.#damaged.refuseOwner(ownerId);
      const { ownerKeyCommitment, ownerKeyDestroyedAtMs } = done;
      return { erasures, ownerKeyCommitment, ownerKeyDestroyedAtMs };
    }
    const { commitment, destroyedAtMs } = await this.#options.source
      .destroyOwnerKey(ownerId)
      .catch((error: unknown) => {
        throw diskError(error);
      });
    const key = { ownerKeyCommitment: commitment, ownerKeyDestroyedAtMs: destroyedAtMs };
    await this.#entomb("owner", ownerId, key);
    this.#damaged.refuseOwner(ownerId);
    return { erasures, ...key };
  }

  /** What all of an owner's takes on this host's disk. */
  usageOf(ownerId: string): Promise<OwnerUsage> {
    const owned = this.list().filter(
      ({ record, isDeleted }) => record.ownerId === ownerId && record.disk !== null && !isDeleted,
    );
    return sumUsage(
      owned.map((workspace) => () => workspace.listCheckpoints()),
      this.templates.timelinesOf(ownerId),
    );
  }

  /** Of workspaces and owners: nothing that comes back from anywhere may stand against them. */
  tombstones(): z.infer<typeof tombstoneList>["tombstones"] {
    const left = [...this.#tombstones.values()].map(({ kind, id, requestedAtMs }) => ({
      kind,
      id,
      requestedAtMs,
    }));
    const own = this.list().flatMap(({ id, record: { tombstone } }) =>
      tombstone === null ? [] : [{ kind: "workspace" as const, id, requestedAtMs: tombstone.requestedAtMs }],
    );
    return [...left, ...own];
  }

  /** Refuses new starts, then brings all memory to the disk. What cannot be is left and adopted at the next start. */
  async drain(): Promise<{ pausedCount: number; leftCount: number }> {
    this.#isDraining = true;
    await this.templates.drain();
    const waiting = this.list().filter(
      ({ record }) =>
        !["stopped", "failed", "archived", "erased"].includes(record.state) &&
        !(record.state === "paused" && record.pausedIn === "disk"),
    );
    const total = waiting.length;
    const { logger } = this.#options;
    let pausedCount = 0;
    let leftCount = 0;
    const work = async () => {
      for (let workspace = waiting.shift(); workspace !== undefined; workspace = waiting.shift()) {
        try {
          await workspace.pauseToDisk("host_shutdown");
          pausedCount += 1;
        } catch (cause) {
          leftCount += 1;
          const error = toAtollError(cause);
          logger.error(
            { workspaceId: workspace.id, code: error.code, err: error },
            "not paused, left as it is",
          );
        }
        logger.info({ pausedCount, leftCount, total }, "draining");
      }
    };
    await Promise.all(Array.from({ length: DRAIN_PARALLEL }, work));
    return { pausedCount, leftCount };
  }

  /** Nothing happens by itself any more; machines are left as they are. */
  close(): void {
    this.#isDraining = true;
    for (const workspace of this.list()) workspace.close();
  }

  /** Their disks belong to another host from now on. */
  async endMachines(error: AtollError): Promise<void> {
    await Promise.allSettled(this.list().map((workspace) => workspace.endMachine(error)));
  }

  async #openOrigin({ origin, ownerId }: Readonly<WorkspaceRecord>): Promise<Point> {
    switch (origin?.kind) {
      case "workspace":
        return this.get(origin.workspaceId).capture();
      case "template":
        return this.templates.open(origin.templateId, ownerId);
      case "checkpoint": {
        const workspace = this.get(origin.workspaceId);
        if (workspace.isDeleted) throw new AtollError("workspace.deleted");
        return this.#options.source.openCheckpoint(workspace.checkpointOwner, origin.checkpointId);
      }
      case undefined:
        throw new TypeError("a workspace without an origin");
    }
  }

  #prepareOrigin({ origin }: Readonly<WorkspaceRecord>, request: MachineRequest): PreparedFork | undefined {
    if (origin?.kind !== "workspace") return undefined;
    const running = this.#workspaces.get(origin.workspaceId)?.forkOrigin;
    return running && this.#options.source.prepareFork(request, running);
  }

  /**
   * The first trace of a workspace. A key that is there already protects something whose record was lost: it must not be
   * replaced. From then on a key without a disk is one of a create that was cut short.
   */
  async #noteCreation(record: WorkspaceRecord): Promise<void> {
    try {
      if (await this.#options.source.hasKey(record.workspaceId)) {
        throw new AtollError("workspace.record_damaged", "it has a key and no record");
      }
      await this.#options.journal.writeWorkspace(record);
    } catch (error) {
      this.#workspaces.delete(record.workspaceId);
      throw error;
    }
  }

  async #eraseUnknown(workspaceId: string): Promise<Erasure[]> {
    const { source } = this.#options;
    const { requestedAtMs } = await this.#entomb("workspace", workspaceId, {
      ownerKeyCommitment: null,
      ownerKeyDestroyedAtMs: null,
    });
    await this.#strayMachines.get(workspaceId)?.kill();
    await source.destroyKey(workspaceId);
    this.#damaged.refuse(workspaceId);
    const { keyCommitment, ...times } = await source.destroy(workspaceId, undefined, undefined);
    const erasure = erasureOf({ workspaceId, keyCommitment, tombstone: { requestedAtMs, ...times } });
    return erasure === undefined ? [] : [erasure];
  }

  /** Erased while its record could not be read, or with its owner: that stands. */
  #entombed(record: WorkspaceRecord): WorkspaceRecord {
    const found = this.#tombstones.get(record.workspaceId) ?? this.#tombstones.get(record.ownerId);
    if (found === undefined || record.tombstone !== null) return record;
    const { requestedAtMs } = found;
    return { ...record, tombstone: { requestedAtMs, keyDestroyedAtMs: null, dataUnlinkedAtMs: null } };
  }

  /** Machines that the sweep would end. */
  async #adoptStrays(): Promise<void> {
    const { hypervisor, logger } = this.#options;
    for (const { kind, id, machine } of this.#damaged.all) {
      logger.error({ kind, id }, "unreadable record: what is its stays as it is");
      if (machine === undefined) continue;
      try {
        const adopted = await hypervisor.adopt(machine);
        if (adopted !== undefined) this.#strayMachines.set(id, adopted);
      } catch (error) {
        logger.error({ kind, id, err: error }, "its machine was not found");
      }
    }
  }

  #add(record: WorkspaceRecord): Workspace {
    const workspace = new Workspace(
      record,
      {
        ...this.#options,
        isDraining: () => this.#isDraining,
        openOrigin: (forked) => this.#openOrigin(forked),
        prepareOrigin: (forked, request) => this.#prepareOrigin(forked, request),
        startTurns: this.#startTurns,
        forkTurns: this.#forkTurns,
      },
      () => this.erase(record.workspaceId),
    );
    this.#workspaces.set(record.workspaceId, workspace);
    return workspace;
  }

  async #entomb(
    kind: TombstoneRecord["kind"],
    id: string,
    key: Pick<TombstoneRecord, "ownerKeyCommitment" | "ownerKeyDestroyedAtMs">,
  ): Promise<TombstoneRecord> {
    const previous = this.#tombstones.get(id);
    const requestedAtMs = previous?.requestedAtMs ?? this.#options.clock.now();
    const record: TombstoneRecord = { format: 1, kind, id, requestedAtMs, ...key };
    await this.#options.journal.writeTombstone(record);
    this.#tombstones.set(id, record);
    this.#damaged.mended(id);
    return record;
  }

  #checkSame({ record, isDeleted }: Workspace, body: CreateWorkspace): void {
    if (isDeleted) throw new AtollError("workspace.deleted");
    const isSame =
      record.ownerId === body.ownerId &&
      record.slug === body.slug &&
      record.image === body.image &&
      record.size.cpus === body.cpus &&
      record.size.memoryMb === body.memoryMb &&
      record.size.diskMb === body.diskMb &&
      isDeepStrictEqual(record.origin, body.origin ?? null);
    if (!isSame)
      throw new AtollError("request.invalid", "the id belongs to another workspace", {
        details: { field: "id" },
      });
  }
}
