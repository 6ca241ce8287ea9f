import { mkdir, open, rename } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

/**
 * Says where a finished build lies: `<cache>/current/<name>.json` for new machines, `<cache>/images/by-key/<key>.json`
 * for disks made with an image that is not the current one any more. Replaced whole, never half written.
 */
export async function writePointer(path: string, value: unknown): Promise<void> {
  const folder = dirname(path);
  await mkdir(folder, { recursive: true, mode: 0o755 });
  const staging = join(folder, `.${basename(path)}.${process.pid}`);
  {
    await using file = await open(staging, "w", 0o644);
    await file.writeFile(`${JSON.stringify(value, undefined, 2)}\n`);
    await file.sync();
  }
  await rename(staging, path);
  await using handle = await open(folder, "r");
  await handle.sync();
}
