import { spawn } from "node:child_process";
import { once } from "node:events";
import { access, mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { runCommand } from "./run-command.ts";

/**
 * Content-addressed results of builds: `<parent>/<key>/`, complete or absent. Built in a staging folder beside it,
 * synced, then renamed, so a crash leaves at most a staging folder, which the next build removes.
 */
export interface ArtifactBuild {
  parent: string;
  key: string;
  signal?: AbortSignal | undefined;
  /** Called once, before work starts, when the result is not there yet. */
  onMissing?: () => void;
  /** Fills the folder `result`; `scratch` is thrown away afterwards. */
  build: (folders: { result: string; scratch: string }) => Promise<void>;
}

export async function provideArtifact(options: ArtifactBuild): Promise<string> {
  const { parent, key, signal } = options;
  const finished = join(parent, key);
  if (await exists(finished)) return finished;
  await mkdir(parent, { recursive: true, mode: 0o755 });
  await using _lock = await lockFile(join(parent, `.${key}.lock`), signal);
  // Another process may have finished it while we waited for the lock.
  if (await exists(finished)) return finished;
  options.onMissing?.();
  for (const entry of await readdir(parent)) {
    if (entry.startsWith(`.${key}.staging`)) await rm(join(parent, entry), { recursive: true, force: true });
  }
  const staging = join(parent, `.${key}.staging`);
  const result = join(staging, "result");
  const scratch = join(staging, "scratch");
  // QEMU's own uid must read what lies here, so these are not private; nothing in them is.
  await mkdir(result, { recursive: true, mode: 0o755 });
  await mkdir(scratch, { mode: 0o755 });
  try {
    await options.build({ result, scratch });
    // One syncfs instead of an fsync per file: a VMM root has thousands of them.
    await runCommand(["sync", "-f", result], { signal });
    await rename(result, finished);
    await syncFolder(parent);
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
  return finished;
}

/** The kernel drops the lock when the holder's stdin closes, so also when this process is killed. */
async function lockFile(path: string, signal: AbortSignal | undefined): Promise<AsyncDisposable> {
  signal?.throwIfAborted();
  const holder = spawn("flock", [path, "sh", "-c", "echo held; exec cat"], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const stop = () => holder.kill("SIGTERM");
  signal?.addEventListener("abort", stop, { once: true });
  try {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    holder.once("error", reject);
    holder.once("exit", () => reject(signal?.reason ?? new Error(`flock could not lock ${path}`)));
    holder.stdout.once("data", () => resolve());
    await promise;
  } finally {
    signal?.removeEventListener("abort", stop);
  }
  return {
    async [Symbol.asyncDispose]() {
      if (holder.exitCode !== null || holder.signalCode !== null) return;
      const gone = once(holder, "exit");
      holder.stdin.end();
      await gone;
    },
  };
}

async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, "r");
  await folder.sync();
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
