import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { makeDirectory } from "@atoll/durable/make-directory";
import { uuid } from "@atoll/protocol/ids";
import { isPlanSize } from "@atoll/protocol/plans";
import { removeUnfinished, wipeScratch } from "../disks/remove-unfinished.ts";
import type { ReadyMachines } from "../pool/ready-machines.ts";
import { removeUnusedTemplates } from "../templates/remove-unused-templates.ts";
import type { TemplateStore } from "../templates/template-store.ts";
import { type DiskLauncher, mayBeOver } from "./disk-launcher.ts";
import type { DiskUpkeep } from "./disk-upkeep.ts";
import type { LocalMachineSourceOptions } from "./local-machine-source-options.ts";

export interface SweptParts {
  options: Pick<
    LocalMachineSourceOptions,
    "hypervisor" | "images" | "warm" | "dataDirectory" | "scratchDirectory"
  >;
  disks: DiskLauncher;
  upkeep: DiskUpkeep;
  ready: ReadyMachines;
  templates: TemplateStore;
  erasedPath: string;
  onFault: (error: unknown) => void;
}

/** Disks that only damaged records name; whether all of those could at least be named. */
export interface StrayDisks {
  diskIds: ReadonlySet<string>;
  isComplete: boolean;
}

export const NO_STRAYS: StrayDisks = { diskIds: new Set(), isComplete: true };

/** Ends and removes what belongs to no record any more, nor may to one that cannot be read; then begins to make ahead. */
export async function sweepData(
  parts: SweptParts,
  knownDiskIds: ReadonlySet<string>,
  strays: StrayDisks,
): Promise<void> {
  const { options, disks, upkeep, ready, templates, erasedPath, onFault } = parts;
  const { workspacesPath } = disks;
  await makeDirectory(workspacesPath);
  const names = await readdir(workspacesPath);
  // A name that is nowhere may be a damaged one: then any directory may be the one that is meant.
  const mayRemove = strays.isComplete && [...strays.diskIds].every((diskId) => names.includes(diskId));
  const spared = mayRemove ? [...strays.diskIds] : names.filter((name) => !knownDiskIds.has(name));
  await options.hypervisor.reap((machineId) => spared.some((diskId) => mayBeOver(machineId, diskId)));
  await templates.sweep();
  if (!ready.isWarming) await disks.layers.sweep();
  const kept = new Set([...knownDiskIds, ...strays.diskIds, ...ready.diskIds]);
  for (const name of mayRemove ? names : []) {
    if (uuid.safeParse(name).success && !kept.has(name)) await disks.directory(name).remove();
  }
  // Later ones run beside creates, whose template no disk names yet.
  if (mayRemove && !ready.isWarming) await removeTemplates(parts).catch(onFault);
  for (const diskId of knownDiskIds) await upkeep.tidy(diskId).catch(onFault);
  await removeUnfinished(erasedPath);
  await wipeScratch(options.scratchDirectory);
  ready.warm();
}

async function removeTemplates({ options, disks }: SweptParts): Promise<void> {
  const { images, hypervisor, warm, dataDirectory } = options;
  await removeUnusedTemplates({
    templatesPath: join(dataDirectory, "templates"),
    workspacesPath: disks.workspacesPath,
    isCurrent: ({ imageKey, fingerprint, size }) =>
      images.currentKeys.has(imageKey) &&
      fingerprint === hypervisor.fingerprint &&
      (isPlanSize(size) || isDeepStrictEqual(size, warm.size)),
  });
}
