/** A fork that is begun while its origin is being captured, because starting a process takes longer than that. */
import { DISK_LAYERS_MAX } from "@atoll/protocol/limits";
import type { LocalPoint } from "../checkpoints/local-point.ts";
import type { Hypervisor } from "../hypervisor/hypervisor.ts";
import type { DiskLauncher } from "./disk-launcher.ts";
import { addLayers, discardForkHalf, type ForkHalf, makeForkHalf } from "./fork-half.ts";
import type { ForkOrigin, MachineRequest, PreparedFork } from "./machine-source.ts";
import { baseUnder, openMemoryBase } from "./memory-base.ts";
import { fingerprintOf, fitsMachine } from "./snapshot-facts.ts";
import type { UnpackedMemories } from "./unpacked-memories.ts";

export interface PrepareContext {
  launcher: DiskLauncher;
  hypervisor: Pick<Hypervisor, "fingerprint">;
  unpacked: Pick<UnpackedMemories, "lend">;
  onFault: (error: unknown) => void;
}

export class LocalPreparedFork implements PreparedFork {
  readonly #making: Promise<ForkHalf | undefined>;
  #isTaken = false;

  constructor(context: PrepareContext, request: MachineRequest, origin: ForkOrigin) {
    this.#making = prepareFork(context, request, origin).catch((error: unknown) => {
      if (!request.signal?.aborted) context.onFault(error);
      return undefined;
    });
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
    await discardForkHalf(half);
  }
}

/** With the layers that are frozen already. Undefined when what is captured will not be loadable by a machine like the one asked for. */
async function prepareFork(
  { launcher, hypervisor, unpacked }: PrepareContext,
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
  const under = baseUnder(running, record);
  await using base = under === undefined ? undefined : await openMemoryBase(open, under);
  await using lent = base && (await unpacked.lend(base, signal));
  if (base !== undefined && lent === undefined) return undefined;
  const { imageKey } = record;
  const kind = { template, isOverTemplate: templateId !== null, baseId: under ?? null, imageKey, size };
  const half =
    launcher.forks.take(kind) ?? (await makeForkHalf(launcher, kind, { signal, base: lent?.state }));
  try {
    await addLayers(half, open.directory, open.layers.slice(0, top), signal);
    return half;
  } catch (error) {
    await discardForkHalf(half);
    throw error;
  }
}

/** Only layers that were frozen since are missing. */
function fits({ machine, kind, layers }: ForkHalf, { origin, memory }: LocalPoint): boolean {
  const lower = layers.slice(0, -1);
  return (
    memory !== undefined &&
    memory.facts.templateId === machine.record.templateId &&
    (memory.over?.base.baseId ?? null) === machine.record.baseId &&
    origin.imageKey === kind.imageKey &&
    origin.templateId === kind.template.templateId &&
    origin.layers.length > lower.length &&
    lower.every(({ layerId }, index) => origin.layers[index]?.layerId === layerId)
  );
}
