import { readdir, readFile, statfs } from "node:fs/promises";
import { loadavg } from "node:os";
import type { ResultOf } from "@atoll/protocol/message";
import type { coreStatus } from "@atoll/protocol/messages/core";

/** Facts about the whole machine, for people and for the host's idle decision. */
export async function readStatus(diskPath: string): Promise<ResultOf<typeof coreStatus>> {
  const [kernel, memory, disk, processes] = await Promise.all([
    // Node's own answer is that of the machine on which the agent's snapshot was taken.
    readFile("/proc/sys/kernel/osrelease", "latin1"),
    readMemory(),
    statfs(diskPath),
    readdir("/proc"),
  ]);
  return {
    kernel: kernel.trim().slice(0, 200),
    memoryTotalBytes: memory.get("MemTotal") ?? 0,
    memoryAvailableBytes: memory.get("MemAvailable") ?? 0,
    diskTotalBytes: disk.blocks * disk.bsize,
    diskFreeBytes: disk.bavail * disk.bsize,
    load1: loadavg()[0] ?? 0,
    processCount: processes.filter((name) => /^\d+$/.test(name)).length,
    agentRssBytes: process.memoryUsage.rss(),
  };
}

async function readMemory(): Promise<Map<string, number>> {
  const text = await readFile("/proc/meminfo", "latin1");
  const values = text.matchAll(/^(\w+):\s+(\d+) kB$/gm);
  return new Map(Array.from(values, ([, name = "", kilobytes]) => [name, Number(kilobytes) * 1024]));
}
