/** What begins from a template that somebody made, as a class does, each beside its reference in the same run. */
import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { bareRestore } from "./b0.ts";
import type { LifecycleOptions } from "./lifecycle.ts";
import { FORKS, manyAtOnce } from "./many-at-once.ts";
import { pssMib } from "./process-cost.ts";
import { interleaved, timedMs } from "./statistics.ts";

const SHARING = 8;
/** What a start leaves running in a guest is over by then. */
const SETTLE_MS = 10_000;

export async function measureTemplates(options: LifecycleOptions): Promise<void> {
  const { host, bare, add, pairs, warmups } = options;
  const source = await host.create();
  const templateId = await host.makeTemplate(source);
  const begin = (id: string) => host.create({ origin: { kind: "template", templateId } }, id);
  const samples = await interleaved(
    pairs,
    warmups,
    async () => {
      const id = randomUUID();
      const ms = await timedMs(() => begin(id));
      await host.delete(id);
      return ms;
    },
    () => bareRestore(bare),
  );
  add({
    name: "fork of a made template to first answer",
    unit: "ms",
    ours: samples.ours,
    reference: { name: "bare restore", samples: samples.reference },
    goal: { atMost: 1.2, of: "ratio" },
  });
  await manyAtOnce(options, `${FORKS} forks of a made template, all ready`, (ids) =>
    timedMs(() => Promise.all(ids.map(begin))),
  );

  await host.stop(source);
  await host.resume(source);
  await delay(SETTLE_MS);
  const bootedMib = await pssMib(await host.machinePid(source));
  const forks: string[] = [];
  while (forks.length < SHARING) forks.push(await begin(randomUUID()));
  await delay(SETTLE_MS);
  add({
    name: `memory of idle fork ${SHARING} of a made template`,
    unit: "MiB",
    ours: [await pssMib(await host.machinePid(forks[SHARING - 1] ?? ""))],
    reference: { name: "cold-booted machine", samples: [bootedMib] },
    goal: { atMost: 0.5, of: "ratio" },
  });
  for (const id of [...forks, source]) await host.delete(id);
}
