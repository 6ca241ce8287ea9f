import { readlinkSync } from "node:fs";
import { z } from "zod";
import { hostBootId, isAlive, startTicksOf } from "../hypervisor/qemu/process-identity.ts";

/** Who holds a lease: a process, and where its pid means anything. */
export const leaseHolder = z.object({
  pid: z.number().int().positive(),
  startTicks: z.string(),
  /** Kernel boot and pid namespace. */
  place: z.string(),
});
export type LeaseHolder = z.infer<typeof leaseHolder>;

export function thisProcess(): LeaseHolder {
  const startTicks = startTicksOf(process.pid);
  if (startTicks === undefined) throw new Error("this process is not in /proc");
  return { pid: process.pid, startTicks, place: thisPlace() };
}

export function thisPlace(): string {
  return `${hostBootId()} ${readlinkSync("/proc/self/ns/pid")}`;
}

/**
 * Known where its pid can be looked up; and where it ran in an earlier boot, if `isOfOneKernel`: then only this kernel can
 * have the data, so what held it before this kernel began is over. Elsewhere time has to tell.
 */
export function isKnownDead(holder: LeaseHolder, isOfOneKernel: boolean): boolean {
  if (holder.place === thisPlace()) return !isAlive(holder);
  return isOfOneKernel && !holder.place.startsWith(`${hostBootId()} `);
}
