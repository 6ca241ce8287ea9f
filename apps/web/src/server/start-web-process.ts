import { env } from "#env.ts";
import { resumeErasures } from "./domain/account/resume-erasures.ts";
import { log } from "./log.ts";
import { webProcess } from "./web-process.ts";

/** How often unfinished erasures are looked for: hostd may have been away when they were asked for. */
const ERASURE_SWEEP_MS = 60_000;

export function startWebProcess(): void {
  env();
  const { db, hostd } = webProcess();
  const sweep = () =>
    resumeErasures({ db, hostd }).catch((error: unknown) => log().warn({ err: error }, "erasures wait"));
  void sweep();
  setInterval(sweep, ERASURE_SWEEP_MS).unref();
}
