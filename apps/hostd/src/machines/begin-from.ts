/** New workspaces that begin at a point: layers shared as files, everything else their own. */

import { randomUUID } from "node:crypto";
import type { KeyStore } from "@atoll/keys/key-store";
import { newKey } from "@atoll/keys/new-key";
import { AtollError } from "@atoll/protocol/atoll-error";
import { DISK_LAYERS_MAX } from "@atoll/protocol/limits";
import { FIRST_LINK_TOKEN } from "@atoll/protocol/link-handshake";
import type { LocalPoint, PointMemory, SharedMemory } from "../checkpoints/local-point.ts";
import { copyLayers, wipeLayers, wrapLayers } from "../disks/layer-keys.ts";
import type {
  DiskLayer,
  Hypervisor,
  Machine,
  MachineStart,
  UnpackedState,
} from "../hypervisor/hypervisor.ts";
import type { Template } from "../templates/template-store.ts";
import { bootOver } from "./boot-over.ts";
import type { DiskLauncher } from "./disk-launcher.ts";
import type { ForkHalf } from "./fork-half.ts";
import { hasCode } from "./has-code.ts";
import type { CreatedMachine, MachineRequest } from "./machine-source.ts";
import { sharedMemory } from "./memory-base.ts";
import { OpenDisk } from "./open-disk.ts";
import type { LocalPreparedFork } from "./prepare-fork.ts";
import { fitsMachine } from "./snapshot-facts.ts";
import type { UnpackedMemories } from "./unpacked-memories.ts";

/** Of a memory, where the disk may be good: the guest begins with its kernel. */
const DAMAGE = ["checkpoint.damaged", "snapshot.invalid"] as const;

export interface BeginContext {
  launcher: DiskLauncher;
  keys: KeyStore;
  hypervisor: Hypervisor;
  unpacked: Pick<UnpackedMemories, "lend">;
  onFault: (error: unknown) => void;
}

/** @throws AtollError request.invalid for a disk smaller than the origin's, workspace.busy when its layers are too many */
export async function beginFrom(
  context: BeginContext,
  request: MachineRequest,
  point: LocalPoint,
  prepared?: LocalPreparedFork,
): Promise<CreatedMachine> {
  const { launcher, keys, hypervisor } = context;
  const template = await launcher.templateOf(point.origin);
  requireRoom(request, point, template);
  const { imageKey, templateId } = point.origin;
  const canLoad = isLoadable(point, hypervisor, request.size);
  const half = canLoad ? await prepared?.take(point) : undefined;
  const shared = canLoad ? sharedMemory(point) : undefined;
  using disk = await (half === undefined
    ? newDisk(launcher, point, template, shared)
    : wholeDisk(half, point, shared));
  const { directory } = disk;
  // A machine may start while what it stands on becomes durable; nobody hears of either before both are done.
  const storing = store(disk, keys, request);
  const launching = launch(context, request, disk, point, { half, shared });
  const [stored, launched] = await Promise.allSettled([storing, launching]);
  if (stored.status === "fulfilled" && launched.status === "fulfilled") {
    const { machine, startsBy } = launched.value;
    return {
      ...{ machine, startsBy, keyCommitment: stored.value },
      disk: { diskId: directory.diskId, imageKey, templateId, epoch: 1 },
      linkToken: startsBy === "restore" ? (point.memory?.facts.linkToken ?? "") : FIRST_LINK_TOKEN,
    };
  }
  if (launched.status === "fulfilled") await launched.value.machine.kill();
  await directory.remove();
  throw stored.status === "rejected" ? stored.reason : (launched as PromiseRejectedResult).reason;
}

/** Whether the point's memory can be loaded by this hypervisor into a machine of this size. */
export function isLoadable(
  { memory, origin }: LocalPoint,
  hypervisor: Pick<Hypervisor, "fingerprint">,
  size: { cpus: number; memoryMb: number },
): boolean {
  return memory !== undefined && fitsMachine(memory.facts, origin.templateId, hypervisor, size);
}

function requireRoom({ size }: MachineRequest, { origin }: LocalPoint, template: Template): void {
  if (size.diskMb < template.size.diskMb) {
    throw new AtollError("request.invalid", `the origin's disk has ${template.size.diskMb} MB`, {
      details: { field: "diskMb", minimum: template.size.diskMb },
    });
  }
  if (origin.layers.length >= DISK_LAYERS_MAX) {
    throw new AtollError("workspace.busy", "the origin has too many layers until it is flattened");
  }
}

async function newDisk(
  launcher: DiskLauncher,
  point: LocalPoint,
  template: Template,
  shared: SharedMemory | undefined,
): Promise<OpenDisk> {
  const { origin } = point;
  const directory = launcher.directory(randomUUID());
  const layers = copyLayers(origin.layers);
  const workspaceKey = newKey();
  try {
    await directory.create();
    await directory.link(origin.directory, point.layerIds);
    await shared?.link(directory.memoryBasePath);
    layers.push(await launcher.newLayer(directory, template.size.diskMb));
    return openDisk({ directory, template, workspaceKey, layers }, origin, shared);
  } catch (error) {
    workspaceKey.fill(0);
    wipeLayers(layers);
    await directory.remove();
    throw error;
  }
}

/** With the layers that were frozen since it was begun. */
async function wholeDisk(
  half: ForkHalf,
  { origin }: LocalPoint,
  shared: SharedMemory | undefined,
): Promise<OpenDisk> {
  const { directory, machine } = half;
  const { template } = half.kind;
  const added = origin.layers.slice(half.layers.length - 1);
  const layers: DiskLayer[] = half.layers.toSpliced(-1, 0, ...copyLayers(added));
  const workspaceKey = newKey();
  try {
    await directory.link(
      origin.directory,
      added.map(({ layerId }) => layerId),
    );
    await shared?.link(directory.memoryBasePath);
    return openDisk({ directory, template, workspaceKey, layers }, origin, shared);
  } catch (error) {
    workspaceKey.fill(0);
    wipeLayers(layers);
    await machine.kill();
    await directory.remove();
    throw error;
  }
}

function openDisk(
  parts: Pick<OpenDisk, "directory" | "template" | "workspaceKey" | "layers">,
  { imageKey, templateId }: LocalPoint["origin"],
  shared: SharedMemory | undefined,
): OpenDisk {
  const { directory, workspaceKey, layers } = parts;
  return new OpenDisk({
    ...parts,
    record: {
      ...{ format: 2, epoch: 1, imageKey, templateId },
      layers: wrapLayers(workspaceKey, directory.diskId, layers),
      ...{ isTopEmpty: false, parentId: null, sameAs: null, isArchived: false },
      memoryBase: shared?.recordUnder(workspaceKey) ?? null,
    },
  });
}

/** Answers the key's commitment. */
async function store(
  { directory, record, workspaceKey }: OpenDisk,
  keys: KeyStore,
  request: MachineRequest,
): Promise<string> {
  const { ownerId, workspaceId, mayReplaceKey: mayReplace = false } = request;
  await directory.sync();
  // Both to their end, so that nothing is written any more once this has failed.
  const [put, written] = await Promise.allSettled([
    keys.putWorkspaceKey({ ownerId, workspaceId }, workspaceKey, { mayReplace }),
    directory.write(record),
  ]);
  if (put.status === "rejected") throw put.reason;
  if (written.status === "rejected") throw written.reason;
  return put.value.commitment;
}

async function launch(
  { launcher, hypervisor, unpacked, onFault }: BeginContext,
  request: MachineRequest,
  disk: OpenDisk,
  point: LocalPoint,
  { half, shared }: { half: ForkHalf | undefined; shared: SharedMemory | undefined },
): Promise<{ machine: Machine; startsBy: CreatedMachine["startsBy"] }> {
  const { directory, template, record } = disk;
  const { size, signal } = request;
  const common = { diskId: directory.diskId, imageKey: record.imageKey, size, signal };
  const { memory } = point;
  if (memory !== undefined && isLoadable(point, hypervisor, size)) {
    try {
      const waiting = half && (await fill(half, disk, memory, { signal, onFault }));
      if (waiting !== undefined) return { machine: waiting, startsBy: "restore" };
      await using lent = shared && (await unpacked.lend(shared, signal));
      const machine = await launcher.launch(disk.encrypted, {
        ...common,
        start: startFrom(memory, template, lent?.state),
      });
      return { machine: await loaded(machine, signal), startsBy: "restore" };
    } catch (error) {
      if (!hasCode(error, ...DAMAGE)) throw error;
      onFault(error);
    }
  }
  const machine = await launcher.launch(disk.encrypted, { ...common, start: bootOver(template, size) });
  return { machine: await loaded(machine, signal), startsBy: "boot" };
}

/** @param base what those who begin here share, where there was room for it */
function startFrom(memory: PointMemory, template: Template, base: UnpackedState | undefined): MachineStart {
  const { facts, over } = memory;
  if (base !== undefined && over === undefined) return { kind: "unpacked", state: base };
  const state = (base === undefined ? memory : (over ?? memory)).read({ lends: true });
  return { kind: "saved", template: facts.templateId === null ? undefined : template, base, state };
}

/** The machine that waited, loaded. Undefined when it cannot be used, which says nothing about another one. */
async function fill(
  { machine, state, layers: known }: ForkHalf,
  { layers }: OpenDisk,
  memory: PointMemory,
  { signal, onFault }: { signal: AbortSignal | undefined; onFault: (error: unknown) => void },
): Promise<Machine | undefined> {
  try {
    await machine.insertLayers(layers.slice(known.length - 1, -1), signal);
    state.give(memory.over ?? memory);
    await machine.load(signal);
    return machine;
  } catch (error) {
    await machine.kill();
    if (signal?.aborted || hasCode(error, ...DAMAGE)) throw error;
    onFault(error);
    return undefined;
  }
}

/** A machine that has loaded what it was launched from, or none. */
export async function loaded(machine: Machine, signal: AbortSignal | undefined): Promise<Machine> {
  try {
    await machine.load(signal);
    return machine;
  } catch (error) {
    await machine.kill();
    throw error;
  }
}
