import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { fileOps } from "@atoll/durable/file-ops";
import { syncDirectory } from "@atoll/durable/sync-directory";
import { wipeFile } from "@atoll/durable/wipe-file";

/** What writes that a crash cut off left: files before their rename, and sealed ones whose record was never committed. */
export async function removeUnfinished(directory: string): Promise<void> {
  const names = new Set(await readdir(directory).catch(() => []));
  const isUnfinished = (name: string) =>
    name.endsWith(".tmp") || (name.endsWith(".sealed") && !names.has(name.replace(/sealed$/, "json")));
  const unfinished = [...names].filter(isUnfinished);
  for (const name of unfinished) await fileOps().remove(join(directory, name));
  if (unfinished.length > 0) await syncDirectory(directory);
}

/** Keys that lay in memory-backed space for a tool when hostd ended. Before anything new is made. */
export async function wipeScratch(directory: string): Promise<void> {
  for (const name of await readdir(directory).catch(() => [])) await wipeFile(join(directory, name));
}
