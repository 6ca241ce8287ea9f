import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { LifecycleOptions } from "./lifecycle.ts";
import { pssMib } from "./process-cost.ts";

const CLONES = 8;
/** What a start leaves running in a guest is over by then. */
const SETTLE_MS = 10_000;

/** Of the last of several that began alike, beside a machine that shares nothing. @param name of what `begin` makes */
export async function memoryOfClone(
  { host, add }: Pick<LifecycleOptions, "host" | "add">,
  name: (count: number) => string,
  begin: (id: string) => Promise<string>,
): Promise<void> {
  const booted = await host.create();
  await host.stop(booted);
  await host.resume(booted);
  await delay(SETTLE_MS);
  const bootedMib = await pssMib(await host.machinePid(booted));
  await host.delete(booted);

  const clones: string[] = [];
  while (clones.length < CLONES) clones.push(await begin(randomUUID()));
  await delay(SETTLE_MS);
  add({
    name: `memory of ${name(CLONES)}`,
    unit: "MiB",
    ours: [await pssMib(await host.machinePid(clones[CLONES - 1] ?? ""))],
    reference: { name: "cold-booted machine", samples: [bootedMib] },
    goal: { atMost: 0.5, of: "ratio" },
  });
  for (const clone of clones) await host.delete(clone);
}
