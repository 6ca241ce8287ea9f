import { readdir, readFile, readlink } from "node:fs/promises";

import { withoutControls } from "../system/without-controls.ts";

export interface SocketOwner {
  pid: number;
  process: string;
}

/** Processes looked at for one question; a machine has far fewer. */
const PROCESSES_MAX = 20_000;

/** Which process holds each of these sockets. Reads all of `/proc`, so it is asked for new sockets only. */
export async function findSocketOwners(inodes: ReadonlySet<string>): Promise<Map<string, SocketOwner>> {
  const owners = new Map<string, SocketOwner>();
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).slice(0, PROCESSES_MAX);
  for (const pid of pids) {
    if (owners.size === inodes.size) break;
    for (const inode of await socketsOf(pid)) {
      if (!inodes.has(inode) || owners.has(inode)) continue;
      owners.set(inode, { pid: Number(pid), process: await nameOf(pid) });
    }
  }
  return owners;
}

async function socketsOf(pid: string): Promise<string[]> {
  const folder = `/proc/${pid}/fd`;
  // A process may end at any moment, and with it each of these names.
  const names = await readdir(folder).catch(() => []);
  const targets = await Promise.all(names.map((name) => readlink(`${folder}/${name}`).catch(() => "")));
  return targets.flatMap((target) => /^socket:\[(\d+)\]$/.exec(target)?.[1] ?? []);
}

async function nameOf(pid: string): Promise<string> {
  const name = await readFile(`/proc/${pid}/comm`, "utf8").catch(() => "");
  return withoutControls(name).slice(0, 64);
}
