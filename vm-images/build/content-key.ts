import { createHash } from "node:crypto";
import { lstat, readdir, readFile, readlink } from "node:fs/promises";
import { join } from "node:path";

/** Adds a file, link or folder (in a fixed order) to the hash: names, contents and the executable bit. */
async function addTree(hash: ReturnType<typeof createHash>, path: string, name: string): Promise<void> {
  const stats = await lstat(path);
  if (stats.isDirectory()) {
    hash.update(`d ${name}\0`);
    for (const entry of (await readdir(path)).sort())
      await addTree(hash, join(path, entry), `${name}/${entry}`);
  } else if (stats.isSymbolicLink()) {
    hash.update(`l ${name}\0${await readlink(path)}\0`);
  } else {
    const content = await readFile(path);
    hash.update(`f ${name} ${(stats.mode & 0o111) === 0 ? "-" : "x"} ${content.length}\0`).update(content);
  }
}

/** Name of a build result: 32 hex digits over everything that can change it. Order of `inputs` counts. */
export async function contentKey(inputs: {
  values: readonly unknown[];
  paths: readonly string[];
}): Promise<string> {
  const hash = createHash("sha256");
  for (const value of inputs.values) hash.update(`v ${JSON.stringify(value)}\0`);
  for (const [index, path] of inputs.paths.entries()) await addTree(hash, path, String(index));
  return hash.digest("hex").slice(0, 32);
}
