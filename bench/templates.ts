/** What begins from a template that somebody made, as a class does, each beside its reference in the same run. */
import { randomUUID } from "node:crypto";
import { besideBare } from "./beside-bare.ts";
import type { LifecycleOptions } from "./lifecycle.ts";
import { measureLiveFork } from "./live-fork.ts";
import { FORKS, manyAtOnce } from "./many-at-once.ts";
import { memoryOfClone } from "./memory-of-clone.ts";
import { measureSleep } from "./sleep.ts";
import { timedMs } from "./statistics.ts";

export async function measureTemplates(options: LifecycleOptions): Promise<void> {
  const { host } = options;
  const source = await host.create();
  const templateId = await host.makeTemplate(source);
  const begin = (id: string) => host.create({ origin: { kind: "template", templateId } }, id);
  await besideBare(options, { name: "fork of a made template to first answer", atMost: 1.2 }, async () => {
    const id = randomUUID();
    const ms = await timedMs(() => begin(id));
    await host.delete(id);
    return ms;
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
