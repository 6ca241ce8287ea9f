/**
 * The cycle test: pause and resume over every path, with something killed at a random step, until `--cycles` are done or
 * one goes wrong. `--seed` repeats a run; it is printed. `fake` plays schedules in a simulated world, thousands a minute;
 * `real` has a virtual machine, hostd, gateway, web and Postgres, and kills their processes.
 */
import { parseArgs } from "node:util";
import { z } from "zod";
import { listenForStop } from "../scripts/start/stop-signals.ts";
import { chaosEnv } from "./env.ts";
import { playFakeCycles } from "./fake-cycles.ts";
import { playRealCycles } from "./real-cycles.ts";
import { reasons } from "./reasons.ts";

const count = z.coerce.number().int().positive();
const options = z
  .object({
    driver: z.enum(["fake", "real"]).default("fake"),
    cycles: count.optional(),
    seed: z.coerce.number().int().nonnegative().optional(),
    /** Start no further cycle after this long. */
    seconds: count.optional(),
    /** Everything is built already. */
    prepared: z.boolean().default(false),
  })
  .parse(
    parseArgs({
      options: {
        driver: { type: "string" },
        cycles: { type: "string" },
        seed: { type: "string" },
        seconds: { type: "string" },
        prepared: { type: "boolean" },
      },
    }).values,
  );

const { cacheDirectory } = chaosEnv();

const seed = options.seed ?? Date.now() % 2 ** 31;
const cycles = options.cycles ?? (options.driver === "fake" ? 1000 : 50);
const { stop, forget } = listenForStop();
const { signal } = stop;
console.log(`chaos: ${options.driver} driver, ${cycles} cycles, --seed ${seed}`);
const startedMs = performance.now();
try {
  const play = options.driver === "fake" ? playFakeCycles : playRealCycles;
  const seconds = options.seconds ?? Number.POSITIVE_INFINITY;
  const done = await play({ seed, cycles, signal, seconds, isPrepared: options.prepared, cacheDirectory });
  const took = ((performance.now() - startedMs) / 1000).toFixed(1);
  console.log(`chaos: ${done} cycles in ${took} s held (--seed ${seed})`);
  console.log("1 passed, 0 failed");
} catch (error) {
  console.error(reasons(error).join("\n"));
  console.log(`chaos: failed; repeat it with --driver ${options.driver} --seed ${seed} --cycles ${cycles}`);
  console.log("0 passed, 1 failed");
  process.exitCode = 1;
} finally {
  forget();
}
