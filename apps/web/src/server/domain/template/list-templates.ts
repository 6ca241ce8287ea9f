import type { Db } from "@atoll/db/create-db";
import type { Template } from "@atoll/db/generated/client";
import { listHiddenTemplates, listTemplates as listRows } from "@atoll/db/templates";
import { withTenant } from "@atoll/db/with-tenant";
import { AtollError } from "@atoll/protocol/atoll-error";
import type { TemplateInfo } from "@atoll/protocol/hostd-api";
import type { HostdClient } from "#server/hosts/hostd-client.ts";
import { finishTemplateDeletion } from "./delete-template.ts";
import { type TemplateView, templateView } from "./template-view.ts";

export interface TemplateListContext {
  db: Db;
  hostd: Pick<HostdClient, "getTemplate" | "deleteTemplate">;
  /** Told of a deletion that could not be finished now; the next look tries again. */
  onLateFailure: (error: unknown) => void;
}

/** One's own and all published ones. Also finishes deletions that a host which was away could not. */
export async function listTemplates(context: TemplateListContext, userId: string): Promise<TemplateView[]> {
  const { db, hostd } = context;
  const { rows, hidden } = await withTenant(db, userId, async (tenant) => ({
    rows: await listRows(tenant),
    hidden: await listHiddenTemplates(tenant),
  }));
  for (const row of hidden)
    finishTemplateDeletion({ db, hostd }, userId, row.id).catch(context.onLateFailure);
  const views = await Promise.all(
    rows.map(async (row) => templateView(row, await infoOf(hostd, row), userId)),
  );
  // One that its owner has not finished, or that is gone, is of no use to others.
  return views.filter(({ isOwn, state }) => isOwn || state === "published" || state === undefined);
}

/** Undefined while the host does not answer. */
async function infoOf(
  hostd: Pick<HostdClient, "getTemplate">,
  row: Template,
): Promise<TemplateInfo | undefined> {
  try {
    return await hostd.getTemplate(row.id);
  } catch (error) {
    if (!(error instanceof AtollError)) throw error;
    if (error.code !== "template.not_found") return undefined;
    return {
      templateId: row.id,
      ownerId: row.ownerId,
      state: "failed",
      errorCode: error.code,
      scrubbed: [],
      sizeBytes: 0,
      createdAtMs: row.createdAt.getTime(),
    };
  }
}
