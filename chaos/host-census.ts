/** What the kernel and the disk say is there, whatever hostd believes: machines, their mounts, files, sockets, the lease. */
import { createHash } from "node:crypto";
import type { Dirent } from "node:fs";
import { readdir, readFile, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { z } from "zod";

/** One machine by its run directory; a jail without a monitor is one that is starting, or was left behind. */
export interface FoundMachine {
  machineId: string;
  /** The virtual machine monitor itself, without the jail around it. */
  monitorPids: number[];
  jailPids: number[];
  /** Whose layers it has mounted writable. */
  diskIds: string[];
}

const leaseFile = z.object({ generation: z.number(), holder: z.object({ pid: z.number() }) });
const diskFile = z.object({ layers: z.array(z.object({ layerId: z.string() })) });
const RUN_MOUNT = /\/run\/([^/ ]+)(?:\/\/deleted)?$/;
const LAYERS_MOUNT = /\/workspaces\/([^/ ]+)\/layers(?:\/\/deleted)?$/;
/** Names that only things under way have. */
const UNFINISHED = /\.tmp$|\.baking-|(?:^|\/)claim\.|^scratch\//;
const SOCKETS = new Set(["run/hostd.sock", "run/link.sock"]);
/** Not hostd's: logs, and the database's own files. */
const NOT_LOOKED_AT = new Set(["logs", "postgres"]);

export class HostCensus {
  readonly #data: string;
  /** Memory-backed; named as hostd names it. */
  readonly memoryPlace: string;

  constructor(dataDirectory: string) {
    this.#data = dataDirectory;
    const place = createHash("sha256").update(dataDirectory).digest("hex").slice(0, 12);
    this.memoryPlace = join("/dev/shm", `atoll-${place}`);
  }

  /** Every machine of this data directory that has a process, by what is mounted in its jail or named to the outer one. */
  async machines(): Promise<FoundMachine[]> {
    const found = new Map<string, FoundMachine>();
    const runRoot = `/${basename(this.memoryPlace)}/run/`;
    for (const pid of await processIds()) {
      const mounts = await readFile(`/proc/${pid}/mountinfo`, "utf8").catch(() => "");
      const words = (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).split("\0");
      if (![mounts, ...words].some((text) => text.includes(runRoot))) continue;
      const command = (await readFile(`/proc/${pid}/comm`, "utf8").catch(() => "")).trim();
      // It ended since the listing.
      if (command === "") continue;
      const roots = [...mounts.split("\n").map((line) => line.split(" ")[3] ?? ""), ...words];
      for (const machineId of namesIn(roots, runRoot, RUN_MOUNT)) {
        const machine = found.get(machineId) ?? { machineId, monitorPids: [], jailPids: [], diskIds: [] };
        found.set(machineId, machine);
        (command.startsWith("qemu-system") ? machine.monitorPids : machine.jailPids).push(pid);
        machine.diskIds = [...new Set([...machine.diskIds, ...namesIn(roots, this.#data, LAYERS_MOUNT)])];
      }
    }
    return [...found.values()];
  }

  async isInMemory(): Promise<boolean> {
    return (await namesOf("/dev/shm")).includes(basename(this.memoryPlace));
  }

  /** What machines have in memory, by their ids: sockets and logs, and what their RAM is a view of. */
  async machineDirectories(): Promise<{ machineId: string; path: string }[]> {
    const found = await Promise.all(
      ["run", "unpacked"].map(async (place) => {
        const names = await namesOf(join(this.memoryPlace, place));
        return names.map((machineId) => ({ machineId, path: `${place}/${machineId}` }));
      }),
    );
    return found.flat();
  }

  diskIds(): Promise<string[]> {
    return namesOf(join(this.#data, "workspaces"));
  }

  /** Staging and temporary files, and sockets but those hostd listens on while it is up. */
  async strayFiles({ isUp }: { isUp: boolean }): Promise<string[]> {
    const scratch = (await namesOf(join(this.memoryPlace, "scratch"))).map((name) => `scratch/${name}`);
    const files = await this.#files();
    const sockets = files.filter(({ path, entry }) => entry.isSocket() && !(isUp && SOCKETS.has(path)));
    const paths = [...scratch, ...files.map(({ path }) => path)];
    return [...paths.filter((path) => UNFINISHED.test(path)), ...sockets.map(({ path }) => path)];
  }

  /** Of a workspace that runs without checkpoints and began from no template: what nothing needs. */
  async strayParts(diskId: string): Promise<string[]> {
    const at = (...names: string[]) => join(this.#data, "workspaces", diskId, ...names);
    const text = await readFile(at("disk.json"), "utf8");
    const named = new Set(diskFile.parse(JSON.parse(text)).layers.map(({ layerId }) => `${layerId}.qcow2`));
    const layers = (await namesOf(at("layers"))).filter((name) => !named.has(name));
    const bases = (await namesOf(at())).filter((name) => name === "memory-base");
    const snapshots = await namesOf(at("snapshots"));
    const checkpoints = await namesOf(at("checkpoints"));
    return [...layers, ...bases, ...snapshots, ...checkpoints];
  }

  /** Every generation that is claimed, and by which process. */
  async leases(): Promise<{ generation: number; pid: number }[]> {
    const place = join(this.#data, "lease");
    const names = (await namesOf(place)).filter((name) => name.endsWith(".json"));
    return Promise.all(
      names.map(async (name) => {
        const { generation, holder } = leaseFile.parse(JSON.parse(await readFile(join(place, name), "utf8")));
        return { generation, pid: holder.pid };
      }),
    );
  }

  /** Processes that name the data directory, hold it open, or are in a jail over it; without this one. */
  async processes(): Promise<number[]> {
    const pids = new Set<number>();
    for (const { monitorPids, jailPids } of await this.machines()) {
      for (const pid of [...monitorPids, ...jailPids]) pids.add(pid);
    }
    for (const pid of await processIds()) {
      const texts = ["cmdline", "environ"].map((name) => readFile(`/proc/${pid}/${name}`, "utf8"));
      for (const text of await Promise.allSettled(texts)) {
        if (text.status === "fulfilled" && text.value.includes(this.#data)) pids.add(pid);
      }
    }
    pids.delete(process.pid);
    return [...pids];
  }

  /** Of a run that failed. */
  async endWhatIsLeft(): Promise<void> {
    for (const { monitorPids, jailPids } of await this.machines()) {
      for (const pid of [...monitorPids, ...jailPids]) {
        try {
          process.kill(pid, "SIGKILL");
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
        }
      }
    }
    await rm(this.memoryPlace, { recursive: true, force: true });
  }

  async #files(): Promise<{ path: string; entry: Dirent }[]> {
    const found: { path: string; entry: Dirent }[] = [];
    const walk = async (folder: string) => {
      const entries = await readdir(join(this.#data, folder), { withFileTypes: true }).catch(() => []);
      for (const entry of entries) {
        const path = join(folder, entry.name);
        if (NOT_LOOKED_AT.has(path)) continue;
        found.push({ path, entry });
        if (entry.isDirectory()) await walk(path);
      }
    };
    await walk("");
    return found;
  }
}

async function processIds(): Promise<number[]> {
  return (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(Number);
}

/** Without such a directory there is nothing in it. */
async function namesOf(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

function namesIn(roots: readonly string[], below: string, pattern: RegExp): string[] {
  const names = roots.filter((root) => root.includes(below)).map((root) => pattern.exec(root)?.[1]);
  return [...new Set(names.filter((name) => name !== undefined))];
}
