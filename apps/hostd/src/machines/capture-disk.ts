/** Freezes what a disk holds by letting it go on in a new layer, with the memory over it where there is one. */

import type { Clock } from "@atoll/base/clock";
import { AtollError } from "@atoll/protocol/atoll-error";
import { DISK_LAYERS_MAX } from "@atoll/protocol/limits";
import { CapturedMemory, type MemoryLedger } from "../checkpoints/captured-memory.ts";
import type { PointMemory } from "../checkpoints/local-point.ts";
import { copyLayers } from "../disks/layer-keys.ts";
import type { DiskLayer, Hypervisor, Machine, SaveOptions } from "../hypervisor/hypervisor.ts";
import type { ReadOptions } from "../snapshots/seal.ts";
import { findManifests, openSnapshot, type SnapshotManifest } from "../snapshots/snapshot-store.ts";
import type { DiskLauncher } from "./disk-launcher.ts";
import type { MachineRequest } from "./machine-source.ts";
import { baseUnder, type MemoryBase, openMemoryBase } from "./memory-base.ts";
import type { OpenDisk } from "./open-disk.ts";
import { fingerprintOf } from "./snapshot-facts.ts";

export interface CaptureOptions {
  withMemory: boolean;
  linkToken: string;
  letRun: boolean;
  quiesce?: (() => Promise<void>) | undefined;
}

export interface Captured {
  /** With keys of their own, the caller's to wipe. */
  layers: DiskLayer[];
  memory: PointMemory | undefined;
  stoppedMs: number;
}

export interface CaptureContext {
  launcher: DiskLauncher;
  memoryLedger: MemoryLedger;
  hypervisor: Pick<Hypervisor, "fingerprint" | "joinStates">;
  clock: Clock;
  onFault: (error: unknown) => void;
}

/** Of a machine whose guest is quiesced, or is by `quiesce`. It runs again afterwards, also after a failure, if it is let. */
export async function captureRunning(
  context: CaptureContext,
  request: MachineRequest,
  disk: OpenDisk,
  machine: Machine,
  options: CaptureOptions,
): Promise<Captured> {
  const { memoryLedger, clock } = context;
  const { signal } = request;
  await using held = new AsyncDisposableStack();
  const base = options.withMemory ? held.use(await openBaseOf(machine, disk, context)) : undefined;
  const isOverBase = base !== undefined;
  // Both to their end: the caller lets the guest go on whatever comes of this, and not before it stands still.
  const [quiesced, ready] = await Promise.allSettled([
    options.quiesce?.(),
    provideTop(context, disk, machine, { withMemory: options.withMemory, isOverBase, signal }),
  ]);
  if (quiesced.status === "rejected") throw quiesced.reason;
  if (ready.status === "rejected") throw ready.reason;
  const frozen = disk.layers.slice(0, -1);
  const stoppedAtMs = clock.monotonic();
  let stoppedMs = 0;
  let copied: CapturedMemory | undefined;
  try {
    await machine.stop(signal);
    await machine.switchLayer(disk.top, signal);
    if (options.withMemory)
      copied = held.use(await CapturedMemory.copy(machine.saveState({ signal, isOverBase }), memoryLedger));
  } finally {
    // Without the signal: giving up does not mean leaving the guest standing.
    if (options.letRun) await machine.start();
    stoppedMs = clock.monotonic() - stoppedAtMs;
  }
  await disk.directory.freeze(frozen.map(({ layerId }) => layerId));
  const { templateId } = machine.record;
  const { linkToken } = options;
  const fingerprint = fingerprintOf(machine, context.hypervisor);
  const facts = { fingerprint, templateId, linkToken, ...sizeOf(request) };
  const memory = copied && memoryOf(context, copied, base, { facts, held: held.move() });
  return { layers: copyLayers(frozen), memory, stoppedMs };
}

/** One that cannot be opened costs the sharing alone: without it the memory is captured whole. */
async function openBaseOf(
  machine: Machine,
  disk: OpenDisk,
  { onFault }: CaptureContext,
): Promise<MemoryBase | undefined> {
  const baseId = baseUnder(machine, disk.record);
  if (baseId === undefined) return undefined;
  try {
    return await openMemoryBase(disk, baseId);
  } catch (error) {
    onFault(error);
    return undefined;
  }
}

/** The record's top is one that the machine does not write to yet. */
async function provideTop(
  { launcher, memoryLedger }: CaptureContext,
  disk: OpenDisk,
  machine: Machine,
  { withMemory, ...save }: Pick<CaptureOptions, "withMemory"> & SaveOptions,
): Promise<void> {
  const [changedBytes, topLayerId] = await Promise.all([
    withMemory ? machine.changedBytes(save) : 0,
    machine.topLayerId(),
  ]);
  memoryLedger.require(changedBytes);
  // It may be so already: an earlier life made one and never switched to it.
  if (topLayerId === disk.top.layerId) await disk.push(await newTop(launcher, disk), { isTopEmpty: false });
  await machine.readyLayer(disk.top, save.signal);
}

/** Of a disk that no machine has open. What is sealed of its present state comes along if asked for, and stays good. */
export async function captureStill(
  context: CaptureContext,
  request: MachineRequest,
  disk: OpenDisk,
  options: Pick<CaptureOptions, "withMemory" | "linkToken">,
): Promise<Captured> {
  const isTopFree = disk.record.isTopEmpty && disk.layers.length > 1;
  if (!isTopFree) await disk.push(await newTop(context.launcher, disk), { isTopEmpty: true });
  const frozen = disk.layers.slice(0, -1);
  await disk.directory.freeze(frozen.map(({ layerId }) => layerId));
  const memory = options.withMemory
    ? await sealedMemory(context, request, disk, options.linkToken)
    : undefined;
  return { layers: copyLayers(frozen), memory, stoppedMs: 0 };
}

async function newTop(launcher: DiskLauncher, disk: OpenDisk): Promise<DiskLayer> {
  if (disk.layers.length >= DISK_LAYERS_MAX) {
    throw new AtollError("workspace.busy", "the disk has too many layers until it is flattened");
  }
  const layer = await launcher.newLayer(disk.directory, disk.template.size.diskMb);
  await disk.directory.syncLayers();
  return layer;
}

async function sealedMemory(
  context: CaptureContext,
  request: MachineRequest,
  disk: OpenDisk,
  linkToken: string,
): Promise<PointMemory | undefined> {
  const { directory, record } = disk;
  for (const manifest of await findManifests(directory.snapshotsPath, record.epoch)) {
    const { fingerprint, templateId, memoryMb } = manifest;
    const facts = { fingerprint, templateId, memoryMb, cpus: request.size.cpus, linkToken };
    const memory = await openSealed(context, disk, manifest, facts).catch(() => undefined);
    if (memory !== undefined) return memory;
  }
  return undefined;
}

async function openSealed(
  context: CaptureContext,
  disk: OpenDisk,
  manifest: SnapshotManifest,
  facts: PointMemory["facts"],
): Promise<PointMemory> {
  await using held = new AsyncDisposableStack();
  const { baseId, plainBytes: sizeBytes } = manifest;
  const { snapshotsPath } = disk.directory;
  const file = held.use(await openSnapshot(snapshotsPath, disk.workspaceKey, manifest));
  const base = baseId === undefined ? undefined : held.use(await openMemoryBase(disk, baseId));
  const own = { sizeBytes, read: (options?: ReadOptions) => file.read(options) };
  return memoryOf(context, own, base, { facts, held: held.move() });
}

/** Also of what was saved as a difference to a made template's memory: a point stands for itself. */
function memoryOf(
  { hypervisor }: CaptureContext,
  own: { sizeBytes: number; read(options?: ReadOptions): AsyncIterable<Uint8Array> },
  base: MemoryBase | undefined,
  { facts, held }: { facts: PointMemory["facts"]; held: AsyncDisposableStack },
): PointMemory {
  const dispose = { [Symbol.asyncDispose]: () => held.disposeAsync() };
  const read = (options?: ReadOptions) => own.read(options);
  if (base === undefined) return { facts, sizeBytes: own.sizeBytes, read, ...dispose };
  return {
    facts,
    sizeBytes: base.sizeBytes + own.sizeBytes,
    read: (options) => hypervisor.joinStates(base.read(options), read(options)),
    over: { base, read },
    ...dispose,
  };
}

const sizeOf = ({ size: { cpus, memoryMb } }: MachineRequest) => ({ cpus, memoryMb });
