import { readFile } from "node:fs/promises";
import { AtollError } from "@atoll/protocol/atoll-error";
import type { z } from "zod";

const DESTROYED = ".destroyed.json";
/** As `replaceFile` names what it has not renamed yet. */
const UNWRITTEN = ".tmp";

/** Beside the key's file: `<id>.json` and `<id>.destroyed.json`. */
export function notePathOf(path: string): string {
  return path.replace(/\.json$/, DESTROYED);
}

/** Names of key files whose note is there as well: destructions that were cut off. */
export function unfinishedDestructions(names: Iterable<string>): string[] {
  const all = new Set(names);
  return [...all].filter((name) => {
    const note = notePathOf(name);
    return note !== name && !name.endsWith(DESTROYED) && all.has(note);
  });
}

/** What was being written when its process ended: nobody has that key, and a destruction would miss it. */
export function unwrittenFiles(names: Iterable<string>): string[] {
  return [...names].filter((name) => name.endsWith(UNWRITTEN));
}

/** Undefined when there is none. @throws AtollError key.unavailable when it cannot be read */
export async function readKeyFile<S extends z.ZodType>(
  path: string,
  schema: S,
): Promise<z.output<S> | undefined> {
  const bytes = await readKeyBytes(path);
  if (bytes === undefined) return undefined;
  try {
    return schema.parse(JSON.parse(bytes.toString("utf8")));
  } catch (cause) {
    throw new AtollError("key.unavailable", "a key file is damaged", { cause });
  }
}

export async function readKeyBytes(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new AtollError("key.unavailable", "a key file cannot be read", { cause: error });
  }
}
