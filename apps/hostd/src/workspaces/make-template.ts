import { randomUUID } from "node:crypto";
import type { Clock } from "@atoll/base/clock";
import { AtollError } from "@atoll/protocol/atoll-error";
import { call } from "@atoll/protocol/call";
import { coreQuiesce, coreScrub } from "@atoll/protocol/messages/core";
import { prepareGuest } from "../link/prepare-guest.ts";
import { visitGuest } from "../link/visit-guest.ts";
import type { MachineRequest, MachineSource, Point } from "../machines/machine-source.ts";
import { boundedStep } from "./bounded-step.ts";
import type { TemplateRecord } from "./journal/template-record.ts";

const CREATE_TIMEOUT_MS = 300_000;
const ANSWER_TIMEOUT_MS = 120_000;
/** Scrubbing walks the whole disk, and then all of its free space. */
const SCRUB_TIMEOUT_MS = 300_000;
const QUIESCE_TIMEOUT_MS = 60_000;
const STORE_TIMEOUT_MS = 300_000;

export type TemplatePatch = Partial<Omit<TemplateRecord, "format" | "templateId">>;

export interface MakeTemplateOptions {
  record: Readonly<TemplateRecord>;
  source: MachineSource;
  /** The checkpoint's disk without its memory: what ran there is nobody else's business. */
  openPoint: (signal: AbortSignal) => Promise<Point>;
  /** Durable when it resolves. */
  note: (patch: TemplatePatch) => Promise<void>;
  clock: Clock;
  signal: AbortSignal;
}

/**
 * Boots a copy of a checkpoint that is nobody's, takes every secret out of it, boots it again, and keeps that as the point
 * that others begin from. On failure its machine is gone and what it left is the caller's to destroy.
 */
export async function makeTemplate(options: MakeTemplateOptions): Promise<void> {
  const { record, source, note, clock, signal } = options;
  const { templateId, ownerId, image, size } = record;
  const request = (bounded: AbortSignal): MachineRequest => ({
    workspaceId: templateId,
    ownerId,
    image,
    size,
    signal: bounded,
  });
  const step = <T>(
    name: string,
    timeoutMs: number,
    work: (bounded: AbortSignal) => Promise<T>,
    onLate?: (result: T) => unknown,
  ) => boundedStep(work, { name, timeoutMs, clock, signal, ...(onLate ? { onLate } : {}) });
  const dispose = (late: AsyncDisposable) => late[Symbol.asyncDispose]();

  const created = await step(
    "create",
    CREATE_TIMEOUT_MS,
    async (bounded) => {
      await using origin = await options.openPoint(bounded);
      return await source.createFrom(request(bounded), origin);
    },
    ({ machine }) => machine.kill(),
  );
  const { keyCommitment } = created;
  let { machine } = created;
  try {
    await note({ disk: created.disk, keyCommitment, machine: machine.record });
    let scrubbed: TemplateRecord["scrubbed"] = [];
    await visitGuest(
      machine,
      {
        reason: created.startsBy === "boot" ? "boot" : "create",
        expectedToken: created.linkToken,
        timeoutMs: ANSWER_TIMEOUT_MS,
        signal,
        clock,
      },
      async (mux) => {
        const found = await call(mux, coreScrub, {}, { timeoutMs: SCRUB_TIMEOUT_MS, signal, clock });
        scrubbed = found.files;
        const { frozen } = await call(mux, coreQuiesce, {}, { timeoutMs: QUIESCE_TIMEOUT_MS, signal, clock });
        if (!frozen) throw new AtollError("vm.monitor_failed", "the guest's disk could not be frozen");
      },
    );
    // Its memory has read all the secrets. The one that others begin with never saw any.
    await machine.kill();
    const booted = await step(
      "boot",
      CREATE_TIMEOUT_MS,
      (bounded) => source.boot(request(bounded), created.disk, { isForMany: true }),
      (late) => late.machine.kill(),
    );
    machine = booted.machine;
    await note({ disk: booted.disk, machine: machine.record });
    const { linkToken } = await prepareGuest(machine, { signal, clock });
    const captured = await step(
      "capture",
      STORE_TIMEOUT_MS,
      (bounded) =>
        source.capture(request(bounded), booted.disk, machine, {
          withMemory: true,
          linkToken,
          letRun: false,
        }),
      ({ point }) => dispose(point),
    );
    await using point = captured.point;
    await note({ disk: captured.disk });
    const facts = { checkpointId: record.pointId, name: "Template", kind: "named" } as const;
    await step("keep", STORE_TIMEOUT_MS, (bounded) =>
      source.keep(request(bounded), captured.disk, point, facts),
    );
    await machine.kill();
    const owner = { ownerId, workspaceId: templateId, disk: captured.disk };
    const { usage } = await source.listCheckpoints(owner);
    const sizeBytes = usage.layerBytes + usage.snapshotBytes;
    await note({ state: "draft", machine: null, linkToken, scrubbed, sizeBytes, errorCode: null });
  } finally {
    await machine.kill();
  }
}

export function newTemplateRecord(
  facts: Pick<TemplateRecord, "templateId" | "ownerId" | "workspaceId" | "checkpointId" | "image" | "size">,
  unusedToken: string,
  nowMs: number,
): TemplateRecord {
  return {
    format: 1,
    ...facts,
    state: "making",
    errorCode: null,
    scrubbed: [],
    sizeBytes: 0,
    createdAtMs: nowMs,
    disk: null,
    pointId: randomUUID(),
    machine: null,
    linkToken: unusedToken,
    keyCommitment: null,
    tombstone: null,
  };
}
