import { appendFileSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { buildImage } from "../../vm-images/build-image.ts";
import { buildVmm } from "../../vm-images/build-vmm.ts";
import { type Progress, StepFailure } from "../bootstrap/progress.mjs";
import { runLogged, tailOf } from "../bootstrap/run-logged.mjs";
import { generateClient } from "./generate-client.ts";
import { repository } from "./layout.ts";
import { quietEnv } from "./quiet-env.ts";

export interface PrepareOptions {
  cacheDirectory: string;
  logs: string;
  progress: Progress;
  signal: AbortSignal;
}

const IMAGE = "base";

/** Everything that is built once and kept. Each part knows by content whether there is anything to do. */
export async function prepare(options: PrepareOptions): Promise<void> {
  const { logs, progress, signal } = options;
  await progress.step("Database client", () => generateClient(logs, signal));
  await buildMachineParts(options);
  await progress.step("Web app", (report) => buildWeb(logs, signal, report));
}

/** What virtual machines are made of: into the cache, by content. */
export async function buildMachineParts({
  cacheDirectory,
  logs,
  progress,
  signal,
}: PrepareOptions): Promise<void> {
  const build = { cacheDir: cacheDirectory, signal };
  await progress.step("QEMU in a root of its own", (report) =>
    withBuildLog(join(logs, "build-vmm.log"), report, async (onProgress) => {
      const { version } = await buildVmm({ ...build, onProgress });
      return `QEMU ${version}`;
    }),
  );
  await progress.step("Guest image", (report) =>
    withBuildLog(join(logs, `build-image-${IMAGE}.log`), report, async (onProgress) => {
      const { key } = await buildImage({ ...build, name: IMAGE, onProgress });
      return `${IMAGE} ${key.slice(0, 12)}`;
    }),
  );
}

/** Keeps what a build says in a log of its own; a failure shows the end of it. */
async function withBuildLog(
  log: string,
  report: (detail: string) => void,
  build: (onProgress: (line: string) => void) => Promise<string>,
): Promise<string> {
  mkdirSync(dirname(log), { recursive: true, mode: 0o700 });
  writeFileSync(log, "", { mode: 0o600 });
  try {
    return await build((line) => {
      appendFileSync(log, `${line}\n`);
      report(line);
    });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new StepFailure(reason, {
      cause,
      logTail: tailOf(log),
      remedy: `If a download failed, check that apt-get update and npm ping work, then run the same command again: what is built is kept. (${log})`,
    });
  }
}

/** Turbo compares the inputs and answers from its cache when nothing changed. */
export async function buildWeb(
  logs: string,
  signal: AbortSignal,
  report: (detail: string) => void,
): Promise<string> {
  const log = join(logs, "build-web.log");
  await runLogged(
    [join(repository, "node_modules", ".bin", "turbo"), "run", "build", "--filter=@atoll/web"],
    {
      cwd: repository,
      env: quietEnv(),
      log,
      remedy: "The compiler's own message is above.",
      signal,
      report,
    },
  );
  return tailOf(log).includes("FULL TURBO") ? "unchanged" : "built";
}
