import { lstat, readlink, statfs } from "node:fs/promises";
import type { Clock } from "@atoll/base/clock";
import { AtollError } from "@atoll/protocol/atoll-error";
import type { ParsedParamsOf, ResultOf } from "@atoll/protocol/message";
import type { filesUsage } from "@atoll/protocol/messages/views";
import type { FindTool } from "../system/base-tool.ts";
import { runTool } from "../system/run-tool.ts";
import { findFolder, type GuestFolder } from "./guest-folder.ts";
import { mountsBelow } from "./mounts-below.ts";

const ENTRIES_MAX = 200;
/** Sorted and cut when it is this long: memory does not grow with the tree. */
const CANDIDATES_MAX = 4 * ENTRIES_MAX;
/** A tree that takes longer is told as far as it was seen. */
const TIMEOUT_MS = 20_000;
/** One line of du: a size, a tab and a path. */
const LINE_MAX_BYTES = 8192;

type Usage = ResultOf<typeof filesUsage>;

/** What lies below a folder by size on disk, in its own file system. */
export async function measureUsage(
  { path, depth }: ParsedParamsOf<typeof filesUsage>,
  { clock, tool }: { clock: Clock; tool: FindTool },
): Promise<Usage> {
  await using folder = await findFolder(path);
  const largest = new Largest();
  // Not by du's own option: in an overlay, files lie on another device than the folders they are in.
  const mounts = await mountsBelow(await readlink(folder.path));
  const excludes = mounts.map((point) => `--exclude=./${point.replace(/[\\*?[\]]/g, "\\$&")}`);
  const { exitCode } = await runTool(
    [...tool("bin/du"), "--null", "--all", ...excludes, "--block-size=1", `--max-depth=${depth}`, "--", "."],
    {
      clock,
      timeoutMs: TIMEOUT_MS,
      cwd: `/proc/${process.pid}/fd/${folder.handle.fd}`,
      onOutput: (bytes) => largest.push(bytes),
    },
  );
  // 1: something vanished or could not be read; null: the time was up.
  if (exitCode !== null && exitCode > 1) throw new AtollError("internal", `du ended with ${exitCode}`);
  const { blocks, bavail, bsize } = await statfs(folder.path);
  const prefix = path.replace(/\/+$/, "");
  const entries = await Promise.all(largest.entries.map((entry) => describe(folder, prefix, entry)));
  return {
    entries: entries.filter((entry) => entry !== undefined),
    diskTotalBytes: blocks * bsize,
    diskFreeBytes: bavail * bsize,
    ...(exitCode === null ? { isPartial: true } : {}),
  };
}

interface Measured {
  /** Relative to the folder. */
  path: string;
  sizeBytes: number;
}

/** Reads du's output piece by piece and keeps its largest entries. */
class Largest {
  #entries: Measured[] = [];
  #rest = Buffer.alloc(0);

  get entries(): Measured[] {
    this.#cut();
    return this.#entries;
  }

  push(bytes: Buffer): void {
    const all = Buffer.concat([this.#rest, bytes]);
    let start = 0;
    for (let end = all.indexOf(0); end !== -1; end = all.indexOf(0, start)) {
      this.#add(all.toString("utf8", start, end));
      start = end + 1;
    }
    const rest = all.subarray(start);
    this.#rest = rest.length > LINE_MAX_BYTES ? Buffer.alloc(0) : Buffer.from(rest);
  }

  #add(line: string): void {
    const match = /^(\d+)\t\.\/(.+)$/s.exec(line);
    // The folder itself is no entry of it.
    if (match === null) return;
    this.#entries.push({ path: match[2] as string, sizeBytes: Number(match[1]) });
    if (this.#entries.length >= CANDIDATES_MAX) this.#cut();
  }

  #cut(): void {
    this.#entries.sort((a, b) => b.sizeBytes - a.sizeBytes);
    this.#entries.length = Math.min(this.#entries.length, ENTRIES_MAX);
  }
}

/** Undefined when it is gone by now, or its name cannot be said. */
async function describe(
  folder: GuestFolder,
  prefix: string,
  { path, sizeBytes }: Measured,
): Promise<Usage["entries"][number] | undefined> {
  try {
    const facts = await lstat(folder.entry(path));
    return { path: `${prefix}/${path}`, sizeBytes, isFolder: facts.isDirectory() };
  } catch {
    return undefined;
  }
}
