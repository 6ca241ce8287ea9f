/**
 * The half of a fork that needs nothing of its origin's present state: a disk directory with the layers that are frozen
 * already, and a process over them that waits. Made while the origin is being captured, because starting a process takes
 * longer than that. Nobody has heard of it: after a crash directory and process are swept like those of any cut-off create.
 */
import { randomUUID } from "node:crypto";
import { DISK_LAYERS_MAX } from "@atoll/protocol/limits";
import type { LocalPoint, PointMemory } from "../checkpoints/local-point.ts";
import type { DiskDirectory } from "../disks/disk-directory.ts";
import { copyLayers, wipeLayers } from "../disks/layer-keys.ts";
import type { DiskLayer, Hypervisor, Machine } from "../hypervisor/hypervisor.ts";
import type { Template } from "../templates/template-store.ts";
import type { DiskLauncher } from "./disk-launcher.ts";
import type { ForkOrigin, MachineRequest, PreparedFork } from "./machine-source.ts";
import { fingerprintOf, fitsMachine } from "./snapshot-facts.ts";

export interface ForkHalf {
  directory: DiskDirectory;
  template: Template;
  imageKey: string;
  /** Bottom first: frozen ones, and the new workspace's own top. What is still missing comes right below that. */
  layers: DiskLayer[];
  machine: Machine;
  state: LateState;
}

export class LocalPreparedFork implements PreparedFork {
  readonly #making: Promise<ForkHalf | undefined>;
  #isTaken = false;

  /** @param making rejects never */
  constructor(making: Promise<ForkHalf | undefined>) {
    this.#making = making;
  }

  /** To the caller, who owns it from then on, if the point lies over it. */
  async take(point: LocalPoint): Promise<ForkHalf | undefined> {
    const half = await this.#making;
    if (half === undefined || this.#isTaken || !fits(half, point)) return undefined;
    this.#isTaken = true;
    return half;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const half = await this.#making;
    if (half === undefined || this.#isTaken) return;
    this.#isTaken = true;
    wipeLayers(half.layers);
    await half.machine.kill();
    await half.directory.remove();
  }
}

/** A saved state that is still to be taken. */
export class LateState implements AsyncIterable<Uint8Array> {
  readonly #memory = Promise.withResolvers<Pick<PointMemory, "read">>();

  give(memory: Pick<PointMemory, "read">): void {
    this.#memory.resolve(memory);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    yield* (await this.#memory.promise).read();
  }
}

export interface PrepareContext {
  launcher: DiskLauncher;
  hypervisor: Pick<Hypervisor, "fingerprint">;
}

/** Undefined when what is captured will not be loadable by a machine like the one asked for. */
export async function prepareFork(
  { launcher, hypervisor }: PrepareContext,
  { size, signal }: MachineRequest,
  { owner, machine: running, size: runningSize }: ForkOrigin,
): Promise<ForkHalf | undefined> {
  const { templateId } = running.record;
  const facts = { ...runningSize, templateId, fingerprint: fingerprintOf(running, hypervisor) };
  if (!fitsMachine(facts, owner.disk.templateId, hypervisor, size)) return undefined;
  using open = await launcher.open(owner, owner.disk);
  const { template, record } = open;
  if (size.diskMb < template.size.diskMb || open.layers.length >= DISK_LAYERS_MAX) return undefined;
  // Not the record's: that may be ahead of the machine.
  const topLayerId = await running.topLayerId();
  const top = open.layers.findIndex(({ layerId }) => layerId === topLayerId);
  if (top === -1) return undefined;
  const frozen = open.layers.slice(0, top);
  const directory = launcher.directory(randomUUID());
  const layers = copyLayers(frozen);
  try {
    await directory.create();
    await directory.link(
      open.directory,
      frozen.map(({ layerId }) => layerId),
    );
    layers.push(await launcher.newLayer(directory, template.size.diskMb));
    const state = new LateState();
    const disk = {
      kind: "encrypted",
      directory: directory.layersPath,
      layers,
      backingPath: template.diskPath,
    } as const;
    const machine = await launcher.launch(disk, {
      ...{ diskId: directory.diskId, imageKey: record.imageKey, size, signal },
      start: { kind: "saved", template: templateId === null ? undefined : template, state },
    });
    return { directory, template, imageKey: record.imageKey, layers, machine, state };
  } catch (error) {
    wipeLayers(layers);
    await directory.remove();
    throw error;
  }
}

/** Only layers that were frozen since are missing. */
function fits({ machine, imageKey, template, layers }: ForkHalf, { origin, memory }: LocalPoint): boolean {
  const lower = layers.slice(0, -1);
  return (
    memory !== undefined &&
    memory.facts.templateId === machine.record.templateId &&
    origin.imageKey === imageKey &&
    origin.templateId === template.templateId &&
    origin.layers.length > lower.length &&
    lower.every(({ layerId }, index) => origin.layers[index]?.layerId === layerId)
  );
}
