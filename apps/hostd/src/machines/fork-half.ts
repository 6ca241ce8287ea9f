/**
 * The half of a fork that needs nothing of its origin's present state: a disk directory with a top of its own, and a
 * process over it that waits for lower layers and a memory. Nobody has heard of it: after a crash directory and process
 * are swept like those of any cut-off create.
 */
import { randomUUID } from "node:crypto";
import type { MachineSize } from "@atoll/protocol/plans";
import type { PointMemory } from "../checkpoints/local-point.ts";
import type { DiskDirectory } from "../disks/disk-directory.ts";
import { copyLayers, wipeLayers } from "../disks/layer-keys.ts";
import type { DiskLayer, Machine, UnpackedState } from "../hypervisor/hypervisor.ts";
import type { Template } from "../templates/template-store.ts";
import type { DiskLauncher } from "./disk-launcher.ts";

/** Of everything that a process must have from its start to load a fork's memory. */
export interface ForkKind {
  template: Template;
  /** Whether the memory to come differs from the template's RAM, or is all there is. */
  isOverTemplate: boolean;
  /** Of the unpacked memory that it differs from instead. */
  baseId: string | null;
  imageKey: string;
  size: MachineSize;
}

export interface ForkHalf {
  kind: ForkKind;
  directory: DiskDirectory;
  /** Bottom first: frozen ones, and the new workspace's own top. What is still missing comes right below that. */
  layers: DiskLayer[];
  machine: Machine;
  state: LateState;
}

/** A saved state that is still to be taken. */
export class LateState implements AsyncIterable<Uint8Array> {
  readonly #memory = Promise.withResolvers<Pick<PointMemory, "read">>();

  give(memory: Pick<PointMemory, "read">): void {
    this.#memory.resolve(memory);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    yield* (await this.#memory.promise).read({ lends: true });
  }
}

/** @param options `base`: of the kind's name, lent for as long as this takes */
export async function makeForkHalf(
  launcher: DiskLauncher,
  kind: ForkKind,
  { signal, base }: { signal: AbortSignal | undefined; base: UnpackedState | undefined },
): Promise<ForkHalf> {
  const { template, isOverTemplate, imageKey, size } = kind;
  const directory = launcher.directory(randomUUID());
  const layers: DiskLayer[] = [];
  try {
    await directory.create();
    layers.push(await launcher.newLayer(directory, template.size.diskMb));
    const state = new LateState();
    const disk = {
      kind: "encrypted",
      directory: directory.layersPath,
      layers,
      backingPath: template.diskPath,
    } as const;
    const machine = await launcher.launch(disk, {
      ...{ diskId: directory.diskId, imageKey, size, signal },
      start: { kind: "saved", template: isOverTemplate ? template : undefined, base, state },
    });
    return { kind, directory, layers, machine, state };
  } catch (error) {
    wipeLayers(layers);
    await directory.remove();
    throw error;
  }
}

/** Puts frozen layers of another disk below its top, bottom first, above those it has. Durable with the directory's next sync. */
export async function addLayers(
  { directory, layers, machine }: ForkHalf,
  from: DiskDirectory,
  added: readonly DiskLayer[],
  signal: AbortSignal | undefined,
): Promise<void> {
  await directory.link(
    from,
    added.map(({ layerId }) => layerId),
  );
  await machine.insertLayers(added, signal);
  layers.splice(-1, 0, ...copyLayers(added));
}

/** Of what nobody took. */
export async function discardForkHalf({ layers, machine, directory }: ForkHalf): Promise<void> {
  wipeLayers(layers);
  await machine.kill();
  await directory.remove();
}
