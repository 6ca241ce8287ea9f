import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { LinkHello } from "@atoll/protocol/link-handshake";

/**
 * The names programs read from files. The folder is in memory, where /etc's links lead: writing to the user's disk here
 * was more than half of a restored guest's way to its first answer. Replaced whole: a program sees the old or the new one.
 */
export function writeNames(folder: string, identity: LinkHello["identity"]): void {
  replaceText(join(folder, "machine-id"), `${identity.machineId}\n`, 0o444);
  replaceText(join(folder, "hostname"), `${identity.hostname}\n`, 0o644);
}

function replaceText(path: string, text: string, mode: number): void {
  if (readText(path) === text) return;
  const temporary = `${path}.new`;
  writeFileSync(temporary, text, { mode });
  renameSync(temporary, path);
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return undefined;
  }
}
