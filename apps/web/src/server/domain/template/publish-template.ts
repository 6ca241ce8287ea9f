import type { Db } from "@atoll/db/create-db";
import { getOwnTemplate, publishTemplate as publishRow } from "@atoll/db/templates";
import { withTenant } from "@atoll/db/with-tenant";
import type { HostdClient } from "#server/hosts/hostd-client.ts";
import { audited } from "../audit/audited.ts";
import { type TemplateView, templateView } from "./template-view.ts";

/** From now on everyone may begin from it. The host first: what it cannot publish is not offered. */
export async function publishTemplate(
  { db, hostd }: { db: Db; hostd: Pick<HostdClient, "publishTemplate"> },
  userId: string,
  id: string,
): Promise<TemplateView> {
  await withTenant(db, userId, (tenant) => getOwnTemplate(tenant, id));
  const info = await audited({
    db,
    userId,
    event: { action: "template.publish", target: id },
    deed: () => hostd.publishTemplate(id),
  });
  const row = await withTenant(db, userId, (tenant) => publishRow(tenant, id));
  return templateView(row, info, userId);
}
