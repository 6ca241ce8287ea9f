import { join } from "node:path";
import { buildImage } from "../../vm-images/build-image.ts";
import { buildVmm } from "../../vm-images/build-vmm.ts";
import type { Progress } from "../bootstrap/progress.mjs";
import { runLogged, tailOf } from "../bootstrap/run-logged.mjs";
import { generateClient } from "./generate-client.ts";
import { repository } from "./layout.ts";
import { quietEnv } from "./quiet-env.ts";

export interface BuildPartsOptions {
  cacheDirectory: string;
  progress: Progress;
  signal: AbortSignal;
}

export interface PrepareOptions extends BuildPartsOptions {
  logs: string;
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
  progress,
  signal,
}: BuildPartsOptions): Promise<void> {
  const build = { cacheDir: cacheDirectory, signal };
  await progress.step("QEMU in a root of its own", async (report) => {
    const { version } = await buildVmm({ ...build, onProgress: report });
    return `QEMU ${version}`;
  });
  await progress.step("Guest image", async (report) => {
    const { key } = await buildImage({ ...build, name: IMAGE, onProgress: report });
    return `${IMAGE} ${key.slice(0, 12)}`;
  });
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
