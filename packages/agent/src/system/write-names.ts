import { rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { LinkHello } from "@atoll/protocol/link-handshake";
import { readSmallFile } from "./read-small-file.ts";

let writing: Promise<unknown> = Promise.resolve();

/** The names programs read from files. Replaced whole, so that a program sees the old or the new one; in order of calls. */
export function writeNames(folder: string, identity: LinkHello["identity"]): Promise<void> {
  const result = writing.then(() => writeNow(folder, identity));
  writing = result.catch(() => {});
  return result;
}

async function writeNow(folder: string, identity: LinkHello["identity"]): Promise<void> {
  await Promise.all([
    replaceText(join(folder, "machine-id"), `${identity.machineId}\n`, 0o444),
    replaceText(join(folder, "hostname"), `${identity.hostname}\n`, 0o644),
  ]);
}

async function replaceText(path: string, text: string, mode: number): Promise<void> {
  if ((await readSmallFile(path, text.length + 1)) === text) return;
  const temporary = `${path}.atoll-new`;
  await rm(temporary, { force: true });
  // Not synced: every handshake writes it again where it is missing.
  await writeFile(temporary, text, { mode, flag: "wx" });
  await rename(temporary, path);
}
