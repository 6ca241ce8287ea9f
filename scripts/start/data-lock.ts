import { createHash } from "node:crypto";
import { realpathSync } from "node:fs";
import { readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { z } from "zod";
import { StepFailure } from "../bootstrap/progress.mjs";

const holder = z.object({ pid: z.number(), startTicks: z.number(), since: z.string() });

/**
 * One start per data directory. The lock is a name in the kernel's abstract socket space: taken by one process at a
 * time and free the moment that process is gone, however it went. The file only tells who holds it.
 */
export async function lockDataDirectory(
  data: string,
  self: { pid: number; startTicks: number },
): Promise<AsyncDisposable> {
  const name = createHash("sha256").update(realpathSync(data)).digest("hex");
  const server = createServer((socket) => socket.destroy());
  const file = join(data, "run", "start.json");
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(`\0atoll-start-${name}`, resolve);
    });
  } catch (cause) {
    const parsed = holder.safeParse(await readFile(file, "utf8").then(JSON.parse, () => undefined));
    const who = parsed.success ? `process ${parsed.data.pid}, since ${parsed.data.since}` : "another process";
    throw new StepFailure(`Atoll already runs on ${data} (${who})`, {
      cause,
      remedy: "Stop that one first, or set ATOLL_DATA to another directory and other ports.",
    });
  }
  await writeFile(file, JSON.stringify({ ...self, since: new Date().toISOString() }), { mode: 0o600 });
  return {
    async [Symbol.asyncDispose]() {
      await rm(file, { force: true });
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
