import { stat } from "node:fs/promises";
import { AtollError } from "@atoll/protocol/atoll-error";

/** @throws AtollError when the caller named a folder that is none; the defaults are tried in turn instead. */
export async function startFolder(wanted: string | undefined, defaults: readonly string[]): Promise<string> {
  if (wanted !== undefined) {
    if (!wanted.startsWith("/") || wanted.includes("\0")) throw new AtollError("file.name_invalid");
    if (await isFolder(wanted)) return wanted;
    throw new AtollError("file.not_found", undefined, { details: { path: wanted.slice(0, 500) } });
  }
  for (const folder of defaults) if (await isFolder(folder)) return folder;
  return "/";
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (facts) => facts.isDirectory(),
    () => false,
  );
}
