/** What must hold before anything is installed. Each refusal says what to do about it. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, statfsSync, statSync } from "node:fs";
import { totalmem } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { StepFailure } from "./progress.mjs";

const OLDEST_NODE = [20, 19];
/** VMM root, guest image, one template and node_modules, with room to work. */
const BUILDING_NEEDS_BYTES = 6 * 1024 ** 3;
/** Logs and the database's journal: whoever filled the disk must get in to delete something. */
const STARTING_NEEDS_BYTES = 256 * 1024 ** 2;
/** One guest of 512 MB, the build of the web app, Postgres. */
const NEEDED_MEMORY_BYTES = 3 * 1024 ** 3;
/** Where Debian keeps the state of programs; used when the checkout is closed to other users. */
const SYSTEM_STATE_DIRECTORY = "/var/lib/atoll";

/**
 * @param {string} repository
 * @returns {{ dataDirectory: string, summary: string }}
 */
export function checkMachine(repository) {
  if (process.platform !== "linux" || process.arch !== "x64") {
    throw new StepFailure(`this machine is ${process.platform}-${process.arch}`, {
      remedy: "Use 64-bit x86 Debian 12 or 13. The guest images are built for that alone so far.",
    });
  }
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const [oldestMajor = 0, oldestMinor = 0] = OLDEST_NODE;
  if (major < oldestMajor || (major === oldestMajor && minor < oldestMinor)) {
    throw new StepFailure(`Node ${process.versions.node} is too old`, {
      remedy:
        "Install Node 20.19 or newer. It only installs; everything then runs on the Node 24 that npm brings.",
    });
  }
  if (process.getuid?.() !== 0) {
    throw new StepFailure("this needs root: each virtual machine runs jailed under a user id of its own", {
      remedy: "Run the same command again with sudo.",
    });
  }
  const dataDirectory = chooseDataDirectory(repository);
  const disk = statfsSync(dataDirectory);
  const freeBytes = disk.bavail * disk.bsize;
  const neededBytes = wasBuilt(dataDirectory) ? STARTING_NEEDS_BYTES : BUILDING_NEEDS_BYTES;
  if (freeBytes < neededBytes) {
    throw new StepFailure(
      `${gigabytes(freeBytes)} are free at ${dataDirectory}, ${gigabytes(neededBytes)} are needed`,
      {
        remedy: "Free some space, or set ATOLL_DATA to a directory on a larger disk.",
      },
    );
  }
  if (totalmem() < NEEDED_MEMORY_BYTES) {
    throw new StepFailure(
      `this machine has ${gigabytes(totalmem())} of memory, ${gigabytes(NEEDED_MEMORY_BYTES)} are needed`,
      {
        remedy: "Use a larger machine.",
      },
    );
  }
  return {
    dataDirectory,
    summary: `Node ${process.versions.node}, ${gigabytes(freeBytes)} free, data in ${dataDirectory}`,
  };
}

/**
 * ATOLL_DATA, else `.data` in the checkout. Jailed machines and Postgres run as other users, who must be able to
 * pass through every directory above; a checkout in root's home is closed to them, and the default moves out.
 * @param {string} repository
 */
export function chooseDataDirectory(repository) {
  const wanted = process.env.ATOLL_DATA;
  const inCheckout = join(repository, ".data");
  const chosen = wanted ? resolve(wanted) : isClosed(repository) ? outsideOf(repository) : inCheckout;
  const cache = process.env.ATOLL_CACHE;
  const closed = closedParent(chosen) ?? (cache ? closedParent(resolve(cache)) : undefined);
  if (closed) {
    throw new StepFailure(
      `other users may not pass through ${closed}, so no virtual machine could open its disk`,
      {
        remedy: `Set ATOLL_DATA (and ATOLL_CACHE) to a directory outside of it, such as ${SYSTEM_STATE_DIRECTORY}, or run: chmod o+x ${closed}`,
      },
    );
  }
  // 0711: passed through by the users of the machines, listed by nobody.
  mkdirSync(chosen, { recursive: true, mode: 0o711 });
  return chosen;
}

/** @param {string} repository */
function isClosed(repository) {
  return closedParent(join(repository, ".data")) !== undefined;
}

/**
 * Two checkouts must not share a database.
 * @param {string} repository
 */
function outsideOf(repository) {
  const suffix = createHash("sha256").update(repository).digest("hex").slice(0, 8);
  return join(SYSTEM_STATE_DIRECTORY, `${basename(repository)}-${suffix}`);
}

/**
 * The first existing directory above `path` without passage for others.
 * @param {string} path
 */
function closedParent(path) {
  for (let parent = dirname(path); ; parent = dirname(parent)) {
    const stats = statSync(parent, { throwIfNoEntry: false });
    if (stats && (stats.mode & 0o001) === 0) return parent;
    if (parent === dirname(parent)) return undefined;
  }
}

/**
 * The guest image is the last thing that is built before anything starts.
 * @param {string} dataDirectory
 */
function wasBuilt(dataDirectory) {
  const cache = process.env.ATOLL_CACHE ?? join(dataDirectory, "cache");
  return existsSync(join(cache, "current", "image-base.json"));
}

/** @param {number} bytes */
function gigabytes(bytes) {
  return `${(bytes / 1024 ** 3).toFixed(1)} GB`;
}
