import type { Workspace } from "@atoll/db/generated/client";
import { AtollError } from "@atoll/protocol/atoll-error";
import { workspaceOrigin } from "@atoll/protocol/hostd-api";
import type { PlanName } from "@atoll/protocol/plans";
import type { HostdClient } from "#server/hosts/hostd-client.ts";
import type { StatusFeed } from "#server/hosts/status-feed.ts";
import { planSettings } from "./plan-settings.ts";

export interface StartContext {
  hostd: Pick<HostdClient, "create" | "lifecycle" | "update">;
  statuses: Pick<StatusFeed, "waitFor">;
  idlePauseSeconds: number;
  /** The owner's: how long the machine keeps what. */
  plan: PlanName;
  /** Told of a start that failed after it was accepted; the state itself comes through the feed. */
  onLateFailure: (error: unknown) => void;
}

/**
 * Makes the machine of a row. Resolves as soon as hostd has accepted it (its progress then comes through the
 * feed), rejects when hostd refuses. Repeating is safe: hostd answers the same workspace.
 */
export async function startWorkspace(context: StartContext, row: Workspace): Promise<void> {
  await untilAccepted(context, row, () =>
    context.hostd.create(row.id, {
      ownerId: row.ownerId,
      slug: row.slug,
      image: row.image,
      cpus: row.cpus,
      memoryMb: row.memoryMb,
      diskMb: row.diskMb,
      egress: row.egress,
      idlePauseSeconds: context.idlePauseSeconds,
      ...planSettings(context.plan),
      ...(row.origin === null ? {} : { origin: workspaceOrigin.parse(row.origin) }),
      ...(row.expiresAt ? { expiresAtMs: row.expiresAt.getTime() } : {}),
    }),
  );
}

/** Resumes, or makes the machine when an earlier create never reached hostd. */
export async function resumeWorkspace(context: StartContext, row: Workspace): Promise<void> {
  try {
    // The plan may have changed since the machine was made.
    await context.hostd.update(row.id, planSettings(context.plan));
    await untilAccepted(context, row, () => context.hostd.lifecycle(row.id, "resume"));
  } catch (error) {
    if (!(error instanceof AtollError) || error.code !== "workspace.not_found") throw error;
    await startWorkspace(context, row);
  }
}

const ON_THE_WAY = new Set(["creating", "resuming", "running"]);

async function untilAccepted(
  context: StartContext,
  row: Workspace,
  command: () => Promise<unknown>,
): Promise<void> {
  const stop = new AbortController();
  let isAccepted = false;
  const done = command().catch((error: unknown) => {
    if (isAccepted) context.onLateFailure(error);
    throw error;
  });
  done.catch(() => {});
  const target = { ownerId: row.ownerId, workspaceId: row.id };
  const seen = context.statuses
    .waitFor(target, (status) => ON_THE_WAY.has(status.state), stop.signal)
    .catch(() => new Promise<never>(() => {}));
  try {
    await Promise.race([done, seen]);
    isAccepted = true;
  } finally {
    stop.abort();
  }
}
