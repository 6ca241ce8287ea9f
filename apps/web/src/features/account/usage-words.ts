import type { OwnerUsage } from "@atoll/protocol/hostd-api";

const counted = (count: number, what: string) => `${count} ${what}${count === 1 ? "" : "s"}`;

/** "2 workspaces, 5 checkpoints, 1 template." */
export function countWords(usage: Omit<OwnerUsage, "layerBytes" | "snapshotBytes">): string {
  const { workspaceCount, checkpointCount, templateCount, unknownCount } = usage;
  const parts = [counted(workspaceCount, "workspace"), counted(checkpointCount, "checkpoint")];
  if (templateCount > 0) parts.push(counted(templateCount, "template"));
  const left = unknownCount === 0 ? "" : ` Of ${unknownCount} of them it could not be found out.`;
  return `${parts.join(", ")}.${left}`;
}
