/** Machines over a workspace's own disk. */
import type { Machine, MachineStart } from "../hypervisor/hypervisor.ts";
import { loaded } from "./begin-from.ts";
import type { DiskLauncher } from "./disk-launcher.ts";
import type { MachineRequest, WorkspaceDisk } from "./machine-source.ts";
import type { OpenDisk } from "./open-disk.ts";

export async function launchDisk(
  disks: DiskLauncher,
  { directory, record, layers, encrypted }: OpenDisk,
  { size, signal }: MachineRequest,
  start: MachineStart,
): Promise<Machine> {
  await directory.freeze(layers.slice(0, -1).map(({ layerId }) => layerId));
  const { diskId } = directory;
  return disks.launch(encrypted, { diskId, imageKey: record.imageKey, size, start, signal });
}

/** With its memory. Loaded first: only a state that was taken raises the epoch, and it is raised before a vCPU runs. */
export async function loadDisk(
  disks: DiskLauncher,
  open: OpenDisk,
  request: MachineRequest,
  disk: WorkspaceDisk,
  start: Extract<MachineStart, { kind: "saved" }>,
): Promise<{ machine: Machine; disk: WorkspaceDisk }> {
  const machine = await launchDisk(disks, open, request, start);
  await loaded(machine, request.signal);
  try {
    return { machine, disk: { ...disk, epoch: await raiseEpoch(open, disk.epoch, machine) } };
  } catch (error) {
    await machine.kill();
    throw error;
  }
}

/** No snapshot fits the new epoch any more, and what `machine` does not stand on, nothing does. */
async function raiseEpoch({ directory, record }: OpenDisk, known: number, machine: Machine): Promise<number> {
  const epoch = await directory.raiseEpoch(known);
  const { memoryBase } = record;
  if (memoryBase !== null && memoryBase.baseId !== machine.record.baseId) await directory.dropMemoryBase();
  return epoch;
}
