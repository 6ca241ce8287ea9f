import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { StartProcess, startPorts } from "../scripts/start/testing/start-process.ts";
import type { RowInput } from "./report.ts";

const ROUNDS = 3;
const TIMEOUT_MS = 300_000;

/** `npm start` with everything built: from the command to "ready", on data of an earlier start and on new ones. */
export async function measureStart(options: {
  add: (row: RowInput) => void;
  cacheDirectory: string;
}): Promise<void> {
  const first: number[] = [];
  const second: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const data = await mkdtemp(join(tmpdir(), "atoll-bench-start-"));
    try {
      const places = { ATOLL_DATA: data, ATOLL_CACHE: options.cacheDirectory };
      for (const samples of [first, second]) {
        samples.push(await startSeconds({ ...(await startPorts()), ...places }));
      }
    } finally {
      await rm(data, { recursive: true, force: true });
    }
  }
  options.add({
    name: "second start",
    unit: "s",
    ours: second,
    reference: { name: "first on new data, all built", samples: first },
    goal: { atMost: 20, of: "ours" },
  });
}

async function startSeconds(environment: NodeJS.ProcessEnv): Promise<number> {
  const startedMs = performance.now();
  await using start = new StartProcess(environment);
  await start.printed(/Atoll is ready/, TIMEOUT_MS);
  return (performance.now() - startedMs) / 1000;
}
