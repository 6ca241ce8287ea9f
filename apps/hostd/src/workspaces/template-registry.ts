/** Templates that people made of their workspaces: making, publishing, opening and erasing them. */
import { randomBytes } from "node:crypto";
import type { Clock } from "@atoll/base/clock";
import { AtollError, toAtollError } from "@atoll/protocol/atoll-error";
import type { createTemplate, Erasure, TemplateInfo } from "@atoll/protocol/hostd-api";
import { LINK_TOKEN_BYTES } from "@atoll/protocol/limits";
import type { Logger } from "pino";
import type { z } from "zod";
import { diskError } from "../disks/disk-error.ts";
import type { Hypervisor } from "../hypervisor/hypervisor.ts";
import type { CheckpointOwner, MachineSource, Point } from "../machines/machine-source.ts";
import type { Admission } from "./admission.ts";
import type { DamagedRecords } from "./damaged-records.ts";
import { erasureOf } from "./erase-workspace.ts";
import type { TemplateRecord } from "./journal/template-record.ts";
import type { WorkspaceJournal } from "./journal/workspace-journal.ts";
import { makeTemplate, newTemplateRecord, type TemplatePatch } from "./make-template.ts";
import type { Workspace } from "./workspace.ts";

export interface TemplateRegistryOptions {
  journal: Pick<WorkspaceJournal, "writeTemplate">;
  source: MachineSource;
  hypervisor: Pick<Hypervisor, "adopt">;
  admission: Admission;
  clock: Clock;
  logger: Logger;
  damaged: DamagedRecords;
  /** @throws AtollError workspace.not_found, workspace.record_damaged */
  workspace: (workspaceId: string) => Workspace;
}

interface Making {
  abort: AbortController;
  done: Promise<void>;
}

export class TemplateRegistry {
  readonly #options: TemplateRegistryOptions;
  readonly #records = new Map<string, TemplateRecord>();
  readonly #making = new Map<string, Making>();
  readonly #erasing = new Map<string, Promise<Erasure[]>>();
  #writes: Promise<unknown> = Promise.resolve();
  #isDraining = false;

  constructor(options: TemplateRegistryOptions) {
    this.#options = options;
  }

  list(): TemplateInfo[] {
    return [...this.#records.values()].map(infoOf);
  }

  /** @throws AtollError template.not_found */
  get(templateId: string): TemplateInfo {
    return infoOf(this.#record(templateId));
  }

  /** What each of an owner's holds on disk. */
  timelinesOf(ownerId: string): (() => ReturnType<MachineSource["listCheckpoints"]>)[] {
    return [...this.#records.values()].flatMap(({ templateId, disk, state, ownerId: owner }) =>
      disk === null || state === "erased" || owner !== ownerId
        ? []
        : [() => this.#options.source.listCheckpoints({ workspaceId: templateId, ownerId, disk })],
    );
  }

  get diskIds(): string[] {
    return [...this.#records.values()].flatMap(({ disk, state }) =>
      disk !== null && state !== "erased" ? [disk.diskId] : [],
    );
  }

  /** One that was being made cannot be taken up again: it failed. An erasure is finished. */
  async recover(records: readonly TemplateRecord[]): Promise<void> {
    for (const record of records) this.#records.set(record.templateId, record);
    await Promise.all(
      records.map(async ({ templateId, tombstone, state, machine }) => {
        try {
          if (machine !== null) await (await this.#options.hypervisor.adopt(machine))?.kill();
          if (tombstone !== null && state !== "erased") await this.erase(templateId);
          else if (state === "making") await this.#failed(templateId, new AtollError("vm.start_failed"));
        } catch (error) {
          this.#options.logger.error({ templateId, err: error }, "template not recovered");
        }
      }),
    );
  }

  /** Answers at once; making it takes a boot and a walk over its disk. Repeating answers the same template. */
  async create(templateId: string, body: z.infer<typeof createTemplate>): Promise<TemplateInfo> {
    this.#options.damaged.refuse(templateId);
    const known = this.#records.get(templateId);
    if (known !== undefined) {
      const { ownerId, workspaceId, checkpointId } = known;
      if (known.tombstone !== null) throw new AtollError("template.not_found");
      if (
        ownerId !== body.ownerId ||
        workspaceId !== body.workspaceId ||
        checkpointId !== body.checkpointId
      ) {
        throw new AtollError("request.invalid", "the id belongs to another template", {
          details: { field: "id" },
        });
      }
      return infoOf(known);
    }
    if (this.#isDraining) throw new AtollError("host.draining");
    const workspace = this.#options.workspace(body.workspaceId);
    const { image, size, ownerId } = workspace.record;
    if (workspace.isDeleted || ownerId !== body.ownerId) throw new AtollError("workspace.not_found");
    const { checkpoints } = await workspace.listCheckpoints();
    if (!checkpoints.some(({ checkpointId }) => checkpointId === body.checkpointId)) {
      throw new AtollError("checkpoint.not_found");
    }
    const facts = { templateId, ...body, image, size };
    const token = randomBytes(LINK_TOKEN_BYTES).toString("hex");
    const record = newTemplateRecord(facts, token, this.#options.clock.now());
    // Another call of the same id may have come first while the checkpoints were read.
    const other = this.#records.get(templateId);
    if (other !== undefined) return this.create(templateId, body);
    this.#records.set(templateId, record);
    try {
      await this.#options.journal.writeTemplate(record);
    } catch (error) {
      this.#records.delete(templateId);
      throw error;
    }
    const abort = new AbortController();
    const done = this.#make(record, workspace, abort.signal).finally(() => this.#making.delete(templateId));
    this.#making.set(templateId, { abort, done });
    return infoOf(record);
  }

  /** Resolves when nothing is being made under this id any more. */
  async settled(templateId: string): Promise<void> {
    await this.#making.get(templateId)?.done;
  }

  /** From now on others may begin from it. Repeatable. @throws AtollError template.not_found, template.not_ready */
  async publish(templateId: string): Promise<TemplateInfo> {
    const { state } = this.#record(templateId);
    if (state !== "draft" && state !== "published") throw new AtollError("template.not_ready");
    if (state === "draft") await this.#note(templateId, { state: "published" });
    return this.get(templateId);
  }

  /** For a new workspace of `ownerId`. @throws AtollError template.not_found, template.not_ready */
  async open(templateId: string, ownerId: string): Promise<Point> {
    const record = this.#record(templateId);
    const isOwn = record.ownerId === ownerId;
    if (record.state !== "published" && !isOwn) throw new AtollError("template.not_found");
    if (record.disk === null || record.state === "making" || record.state === "failed") {
      throw new AtollError("template.not_ready");
    }
    return this.#options.source.openCheckpoint(ownerOf(record, record.disk), record.pointId, {
      isForMany: true,
    });
  }

  /** Repeatable, at any time. Workspaces that began from it keep what they have, under their own keys. */
  erase(templateId: string): Promise<Erasure[]> {
    const running = this.#erasing.get(templateId);
    if (running !== undefined) return running;
    const erasing = this.#erase(templateId).finally(() => this.#erasing.delete(templateId));
    this.#erasing.set(templateId, erasing);
    return erasing;
  }

  async eraseOfOwner(ownerId: string): Promise<Erasure[]> {
    const own = [...this.#records.values()].filter((record) => record.ownerId === ownerId);
    return (await Promise.all(own.map(({ templateId }) => this.erase(templateId)))).flat();
  }

  /** What is being made is given up. */
  async drain(): Promise<void> {
    this.#isDraining = true;
    const making = [...this.#making.values()];
    for (const { abort } of making) abort.abort(new AtollError("host.draining"));
    await Promise.all(making.map(({ done }) => done));
  }

  async #make(record: TemplateRecord, workspace: Workspace, signal: AbortSignal): Promise<void> {
    const { templateId, checkpointId, size } = record;
    const { source, admission, clock, logger } = this.#options;
    try {
      await admission.reserve(templateId, size.memoryMb);
      await makeTemplate({
        record,
        source,
        openPoint: () =>
          source.openCheckpoint(workspace.checkpointOwner, checkpointId, { withMemory: false }),
        note: (patch) => this.#note(templateId, patch),
        clock,
        signal,
      });
      logger.info({ templateId }, "template made");
    } catch (cause) {
      const error = toAtollError(diskError(cause));
      logger.error({ templateId, code: error.code, err: error }, "template not made");
      // Its erasure destroys what it left by itself.
      if (this.#records.get(templateId)?.tombstone == null) {
        await this.#failed(templateId, error).catch((fault: unknown) =>
          logger.error({ templateId, err: fault }, "what a failed template left is still there"),
        );
      }
    } finally {
      admission.release(templateId);
    }
  }

  async #failed(templateId: string, error: AtollError): Promise<void> {
    const { ownerId, disk } = this.#record(templateId);
    await this.#options.source.destroy(templateId, ownerId, disk ?? undefined);
    await this.#note(templateId, { state: "failed", errorCode: error.code, machine: null, disk: null });
  }

  async #erase(templateId: string): Promise<Erasure[]> {
    this.#options.damaged.refuse(templateId);
    const record = this.#records.get(templateId);
    if (record === undefined) return this.#eraseUnknown(templateId);
    if (record.tombstone === null) {
      const requestedAtMs = this.#options.clock.now();
      const tombstone = { requestedAtMs, keyDestroyedAtMs: null, dataUnlinkedAtMs: null };
      await this.#note(templateId, { tombstone });
    }
    const making = this.#making.get(templateId);
    making?.abort.abort(new AtollError("template.not_found", "deleted while it was made"));
    await making?.done;
    const { tombstone, ownerId, disk, state } = this.#records.get(templateId) ?? record;
    if (state !== "erased" && tombstone !== null) {
      const { keyCommitment, keyDestroyedAtMs, dataUnlinkedAtMs } = await this.#options.source.destroy(
        templateId,
        ownerId,
        disk ?? undefined,
      );
      await this.#note(templateId, {
        state: "erased",
        ...(keyCommitment === null ? {} : { keyCommitment }),
        tombstone: { ...tombstone, keyDestroyedAtMs, dataUnlinkedAtMs },
        machine: null,
        scrubbed: [],
        errorCode: null,
      });
    }
    const erased = this.#records.get(templateId);
    const erasure = erased && erasureOf({ ...erased, workspaceId: templateId });
    return erasure === undefined ? [] : [erasure];
  }

  /** Its record is not here, but its key may be. */
  async #eraseUnknown(templateId: string): Promise<Erasure[]> {
    const requestedAtMs = this.#options.clock.now();
    const { keyCommitment, ...times } = await this.#options.source.destroy(templateId, undefined, undefined);
    const tombstone = { requestedAtMs, ...times };
    const erasure = erasureOf({ workspaceId: templateId, keyCommitment, tombstone });
    return erasure === undefined ? [] : [erasure];
  }

  /** One after another, so that a tombstone set meanwhile is never overwritten. */
  #note(templateId: string, patch: TemplatePatch): Promise<void> {
    const write = this.#writes.then(async () => {
      const known = this.#records.get(templateId);
      if (known === undefined) throw new AtollError("template.not_found");
      const record = { ...known, ...patch };
      await this.#options.journal.writeTemplate(record);
      this.#records.set(templateId, record);
    });
    this.#writes = write.catch(() => {});
    return write;
  }

  #record(templateId: string): TemplateRecord {
    const record = this.#records.get(templateId);
    if (record === undefined || record.tombstone !== null) throw new AtollError("template.not_found");
    return record;
  }
}

function ownerOf(
  { ownerId, templateId }: TemplateRecord,
  disk: NonNullable<TemplateRecord["disk"]>,
): CheckpointOwner {
  return { ownerId, workspaceId: templateId, disk };
}

function infoOf(record: TemplateRecord): TemplateInfo {
  const { templateId, ownerId, state, errorCode, scrubbed, sizeBytes, createdAtMs } = record;
  return {
    templateId,
    ownerId,
    state,
    ...(errorCode === null ? {} : { errorCode }),
    scrubbed,
    sizeBytes,
    createdAtMs,
  };
}
