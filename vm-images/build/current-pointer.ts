import { mkdir, open, rename } from "node:fs/promises";
import { join } from "node:path";

/** `<cache>/current/<name>.json` says which finished build new machines use. Replaced whole, never half written. */
export async function pointCurrent(cacheDir: string, name: string, value: unknown): Promise<void> {
  const folder = join(cacheDir, "current");
  await mkdir(folder, { recursive: true, mode: 0o755 });
  const staging = join(folder, `.${name}.${process.pid}`);
  {
    await using file = await open(staging, "w", 0o644);
    await file.writeFile(`${JSON.stringify(value, undefined, 2)}\n`);
    await file.sync();
  }
  await rename(staging, join(folder, `${name}.json`));
  await using handle = await open(folder, "r");
  await handle.sync();
}
