import { parseArgs } from "node:util";
import { Progress } from "../bootstrap/progress.mjs";
import { readEnv } from "../start/env.ts";
import { generateClient } from "../start/generate-client.ts";
import { makeLayout } from "../start/layout.ts";
import { buildMachineParts, buildWeb } from "../start/prepare.ts";
import { listenForStop } from "../start/stop-signals.ts";
import { LastLines } from "./last-lines.ts";
import {
  CHECKS,
  type PartOptions,
  type RunOptions,
  runChaos,
  runCheck,
  runPlaywright,
  runVitest,
} from "./parts.ts";
import { FAILED, sum, type Tally } from "./tally.ts";
import { temporaryDirectory } from "./temporary-directory.ts";

/** `npm test` once everything is installed. Parts: `unit` (with the checks), `vm`, `chaos`, `e2e`; none named means all. */
const PARTS = ["unit", "vm", "chaos", "e2e"];
/** Cycles of the cycle test; one on two emulating cores takes some six seconds. */
const CYCLES = { fake: 1000, real: 50 } as const;
const progress = new Progress();
const { stop, forget } = listenForStop();
const { signal } = stop;
const tallies: Tally[] = [];
/** What each that failed printed last. */
const failures = new Map<string, LastLines>();
const SHOWN_AGAIN = 60;

const { positionals } = parseArgs({ allowPositionals: true });
const unknown = positionals.filter((name) => !PARTS.includes(name));
const wanted = (part: string) => positionals.length === 0 || positionals.includes(part);

/** A part that cannot run has failed; the others still run. */
async function part(
  title: string,
  options: PartOptions,
  run: (options: RunOptions) => Promise<Tally>,
): Promise<void> {
  if (signal.aborted) return;
  const printed = new LastLines(SHOWN_AGAIN);
  const startedMs = performance.now();
  console.log(`\n=== ${title}`);
  const tally = await run({ ...options, printed }).catch((error: unknown) => {
    progress.failure(error);
    return FAILED;
  });
  tallies.push(tally);
  if (tally.failed > 0) failures.set(title, printed);
  const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1);
  console.log(`=== ${title}: ${tally.passed} passed, ${tally.failed} failed (${seconds} s)`);
}

try {
  if (unknown.length > 0)
    throw new Error(`unknown part ${unknown.join(", ")}; there are ${PARTS.join(", ")}`);
  const { dataDirectory, cacheDirectory } = readEnv(process.env);
  const { logs } = makeLayout(dataDirectory);
  using baked = temporaryDirectory("atoll-baked-");
  const options = { cacheDirectory, sharedTemplates: baked.path, signal };
  await progress.step("Database client", () => generateClient(logs, signal));

  const checked = Promise.withResolvers<void>();
  const build = async () => {
    const needsAll = wanted("vm") || wanted("chaos") || wanted("e2e");
    if (needsAll) await buildMachineParts({ cacheDirectory, logs, progress, signal });
    // The check of its types writes into the folder that it is built in.
    await checked.promise;
    if (needsAll) await progress.step("Web app", (report) => buildWeb(logs, signal, report));
  };
  // Building waits for downloads and keeps one core busy; what needs no machines has the other.
  const built = build();
  built.catch(() => {});
  if (wanted("unit")) {
    for (const [title, argv] of Object.entries(CHECKS))
      await part(title, options, (own) => runCheck(argv, own));
  }
  checked.resolve();
  // The simulated world keeps one core busy, and neither minds the other.
  await Promise.all([
    wanted("unit") && part("unit and contract tests", options, (own) => runVitest("unit", own)),
    wanted("chaos") &&
      part("cycles in a simulated world", options, (own) => runChaos("fake", CYCLES.fake, own)),
  ]);
  await built;
  const onMachines = async () => {
    if (wanted("vm")) await part("tests on real virtual machines", options, (own) => runVitest("vm", own));
    if (wanted("e2e")) await part("journeys in a real browser", options, runPlaywright);
  };
  // A cycle mostly waits for something to be noticed: beside machines that are busy it hardly takes longer.
  await Promise.all([
    onMachines(),
    wanted("chaos") && part("cycles on a real machine", options, (own) => runChaos("real", CYCLES.real, own)),
  ]);
  if (signal.aborted) throw new Error("interrupted");
} catch (error) {
  progress.failure(error);
  tallies.push(FAILED);
} finally {
  forget();
}

const { passed, failed, skipped } = sum(tallies);
if (skipped.length > 0) console.log(`\n${skipped.length} skipped: ${skipped.join("; ")}`);
for (const [title, { lines }] of failures) console.log(`\n--- ${title}, its end:\n${lines.join("\n")}`);
if (failures.size > 0) console.log(`\nFailed: ${[...failures.keys()].join("; ")}`);
process.exitCode = failed > 0 ? 1 : 0;
console.log(`${passed} passed, ${failed} failed`);
