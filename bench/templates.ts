/** What begins from a template that somebody made, as a class does, each beside its reference in the same run. */
import { randomUUID } from "node:crypto";
import { bareRestore } from "./b0.ts";
import type { LifecycleOptions } from "./lifecycle.ts";
import { measureLiveFork } from "./live-fork.ts";
import { FORKS, manyAtOnce } from "./many-at-once.ts";
import { memoryOfClone } from "./memory-of-clone.ts";
import { measureSleep } from "./sleep.ts";
import { interleaved, timedMs } from "./statistics.ts";

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

  for (const measure of [
    (id: string) => measureSleep(options, id, "fork of a made template"),
    (id: string) => measureLiveFork(options, id, "live fork of a fork of a made template"),
  ]) {
    const id = await begin(randomUUID());
    await measure(id);
    await host.delete(id);
  }
  await memoryOfClone(options, (count) => `idle fork ${count} of a made template`, begin);
  await host.delete(source);
}
