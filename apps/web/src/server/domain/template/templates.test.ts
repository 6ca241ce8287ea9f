import { randomUUID } from "node:crypto";
import { createWorkspace } from "@atoll/db/create-workspace";
import { type TemporaryDatabase, temporaryDatabase } from "@atoll/db/testing/temporary-database";
import { createUser } from "@atoll/db/users";
import { withTenant } from "@atoll/db/with-tenant";
import type { TemplateInfo } from "@atoll/protocol/hostd-api";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { HostdClient } from "#server/hosts/hostd-client.ts";
import { FakeHostd } from "#server/testing/fake-hostd.ts";
import { createTemplate } from "./create-template.ts";
import { deleteTemplate } from "./delete-template.ts";
import { listTemplates } from "./list-templates.ts";
import { publishTemplate } from "./publish-template.ts";

let database: TemporaryDatabase;
beforeAll(async () => {
  database = await temporaryDatabase();
});
afterAll(() => database[Symbol.asyncDispose]());

const person = async () =>
  (await createUser(database.db, { email: `${randomUUID()}@people.example`, name: "P", passwordHash: null }))
    .id;

async function setup() {
  const fake = await FakeHostd.start();
  const { db } = database;
  const context = {
    db,
    hostd: new HostdClient({ socketPath: fake.socketPath }),
    onLateFailure: vi.fn(),
  };
  const [owner, other] = [await person(), await person()];
  const { id: workspaceId } = await withTenant(db, owner, (tenant) =>
    createWorkspace(tenant, { name: "w", image: "base" }),
  );
  const wanted = { id: randomUUID(), name: "Course", workspaceId, checkpointId: randomUUID() };
  const info = (state: TemplateInfo["state"]): TemplateInfo => ({
    templateId: wanted.id,
    ownerId: owner,
    state,
    scrubbed: [{ path: "/root/.ssh/id_ed25519", rule: "private-key" }],
    sizeBytes: 5,
    createdAtMs: 1,
  });
  const path = `/v1/templates/${wanted.id}`;
  fake.answers.set(`PUT ${path}`, { body: info("draft") });
  fake.answers.set(`GET ${path}`, { body: info("draft") });
  fake.answers.set(`POST ${path}/publish`, { body: info("published") });
  fake.answers.set(`DELETE ${path}`, { body: {} });
  return { fake, context, owner, other, wanted, path, info };
}

describe("templates", () => {
  it("are drafts of their owner, who sees what was removed before others see anything", async () => {
    const { fake, context, owner, other, wanted, path, info } = await setup();
    await using _ = fake;
    const draft = await createTemplate(context, owner, wanted);
    expect(draft).toMatchObject({ state: "draft", isOwn: true, scrubbed: [{ rule: "private-key" }] });
    const seenBy = async (userId: string) =>
      (await listTemplates(context, userId)).find(({ id }) => id === wanted.id);
    expect(await seenBy(other)).toBeUndefined();
    expect(await publishTemplate(context, owner, wanted.id)).toMatchObject({ state: "published" });
    fake.answers.set(`GET ${path}`, { body: info("published") });
    expect(await seenBy(other)).toMatchObject({ isOwn: false, scrubbed: [], name: "Course" });
    fake.answers.delete(`GET ${path}`);
    fake.answers.set(`GET ${path}`, { status: 404, body: { code: "template.not_found" } });
    expect(await seenBy(other)).toBeUndefined();
    expect(await seenBy(owner)).toMatchObject({ state: "failed", errorCode: "template.not_found" });
  });

  it("are made of one's own workspaces only, and published and deleted by their owner only", async () => {
    const { fake, context, owner, other, wanted } = await setup();
    await using _ = fake;
    await expect(createTemplate(context, other, wanted)).rejects.toMatchObject({
      code: "workspace.not_found",
    });
    await createTemplate(context, owner, wanted);
    const before = fake.calls.length;
    const notFound = { code: "template.not_found" };
    await expect(publishTemplate(context, other, wanted.id)).rejects.toMatchObject(notFound);
    await expect(deleteTemplate(context, other, wanted.id)).rejects.toMatchObject(notFound);
    expect(fake.calls).toHaveLength(before);
  });

  it("disappear at once, and are erased later when the host was away", async () => {
    const { fake, context, owner, wanted, path } = await setup();
    await using _ = fake;
    await createTemplate(context, owner, wanted);
    fake.answers.set(`DELETE ${path}`, (response) => response.destroy());
    await expect(deleteTemplate(context, owner, wanted.id)).rejects.toMatchObject({
      code: "host.unreachable",
    });
    fake.answers.set(`DELETE ${path}`, { body: {} });
    expect((await listTemplates(context, owner)).map(({ id }) => id)).not.toContain(wanted.id);
    await vi.waitFor(() => expect(fake.calls.filter((call) => call === `DELETE ${path}`)).toHaveLength(2));
  });
});
