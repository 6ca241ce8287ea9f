import type { MachineSize } from "@atoll/protocol/plans";

export function gigabytes(megabytes: number): string {
  return megabytes >= 1024 ? `${Number((megabytes / 1024).toFixed(1))} GB` : `${megabytes} MB`;
}

export function machineSize({ cpus, memoryMb, diskMb }: MachineSize): string {
  return `${cpus} CPU · ${gigabytes(memoryMb)} memory · ${gigabytes(diskMb)} disk`;
}
