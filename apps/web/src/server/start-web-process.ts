import { setTimeout as delay } from "node:timers/promises";
import { forgetErasedRows } from "@atoll/db/forget-erased-rows";
import { env } from "#env.ts";
import { applyTombstones } from "./domain/account/apply-tombstones.ts";
import { resumeErasures } from "./domain/account/resume-erasures.ts";
import { log } from "./log.ts";
import { webProcess } from "./web-process.ts";

/**
 * How often unfinished erasures and sign-outs are looked for: hostd may have been away when they were asked for. And the longest that
 * deleted rows stay in the files of the database.
 */
const SWEEP_MS = 60_000;
const RETRY_MS = 1_000;
/** A start that gives up tells people the last of these. */
const TELL_EVERY_MS = 10_000;

/**
 * Returns when it is safe to serve: the database may have been restored from a backup, so first everything that was erased
 * since is closed again. Without hostd nobody knows what that is; then this waits.
 */
export async function startWebProcess(): Promise<void> {
  env();
  const { db, hostd, receipts, endedSignIns } = webProcess();
  for (let toldAtMs = Number.NEGATIVE_INFINITY; ; ) {
    try {
      const count = await applyTombstones({ db, hostd });
      if (count > 0) log().warn({ count }, "erased again what a restored database had brought back");
      break;
    } catch (error) {
      if (performance.now() - toldAtMs > TELL_EVERY_MS) {
        toldAtMs = performance.now();
        log().warn({ err: error }, "serving waits for the list of what was erased");
      }
      await delay(RETRY_MS);
    }
  }
  const sweep = async () => {
    await endedSignIns
      .catchUp()
      .catch((error: unknown) => log().warn({ err: error }, "ended sign-ins wait for their host"));
    await resumeErasures({ db, hostd, receipts }).catch((error: unknown) =>
      log().warn({ err: error }, "erasures wait"),
    );
    await forgetErasedRows(db).catch((error: unknown) =>
      log().warn({ err: error }, "deleted rows are still in the database's files"),
    );
  };
  void sweep();
  setInterval(sweep, SWEEP_MS).unref();
}
