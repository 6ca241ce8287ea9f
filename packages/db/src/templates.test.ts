import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  createTemplate,
  deleteTemplateRow,
  getOwnTemplate,
  getUsableTemplate,
  hideTemplate,
  listHiddenTemplates,
  listTemplates,
  publishTemplate,
} from "./templates.ts";
import { type TemporaryDatabase, temporaryDatabase } from "./testing/temporary-database.ts";
import { createUser } from "./users.ts";
import { type Tenant, withTenant } from "./with-tenant.ts";

let database: TemporaryDatabase;
beforeAll(async () => {
  database = await temporaryDatabase();
});
afterAll(() => database[Symbol.asyncDispose]());

const person = async () =>
  (await createUser(database.db, { email: `${randomUUID()}@people.example`, name: "P", passwordHash: null }))
    .id;
const as = <T>(userId: string, work: (tenant: Tenant) => Promise<T>) => withTenant(database.db, userId, work);

async function draftOf(owner: string) {
  const facts = {
    id: randomUUID(),
    name: "Course",
    sourceWorkspaceId: randomUUID(),
    checkpointId: randomUUID(),
    image: "base",
    cpus: 1,
    memoryMb: 512,
    diskMb: 2048,
  };
  return as(owner, (tenant) => createTemplate(tenant, facts));
}

const notFound = { code: "template.not_found" };

describe("templates", () => {
  it("are their owner's alone until they are published, and then everyone's to read and nobody's to change", async () => {
    const [owner, other] = [await person(), await person()];
    const { id } = await draftOf(owner);
    await expect(as(other, (tenant) => getUsableTemplate(tenant, id))).rejects.toMatchObject(notFound);
    expect((await as(other, listTemplates)).map((row) => row.id)).not.toContain(id);
    await expect(as(other, (tenant) => publishTemplate(tenant, id))).rejects.toMatchObject(notFound);
    const published = await as(owner, (tenant) => publishTemplate(tenant, id));
    expect((await as(owner, (tenant) => publishTemplate(tenant, id))).publishedAt).toEqual(
      published.publishedAt,
    );
    expect((await as(other, (tenant) => getUsableTemplate(tenant, id))).name).toBe("Course");
    expect((await as(other, listTemplates)).map((row) => row.id)).toContain(id);
    await expect(as(other, (tenant) => getOwnTemplate(tenant, id))).rejects.toMatchObject(notFound);
    await expect(as(other, (tenant) => hideTemplate(tenant, id))).rejects.toMatchObject(notFound);
  });

  it("cannot be taken over by creating one with the same id", async () => {
    const [owner, other] = [await person(), await person()];
    const { id, ...rest } = await draftOf(owner);
    const { ownerId: _owner, createdAt: _at, publishedAt: _published, deletedAt: _deleted, ...facts } = rest;
    await expect(
      as(other, (tenant) => createTemplate(tenant, { id, ...facts, name: "Mine" })),
    ).rejects.toMatchObject(notFound);
    expect((await as(owner, (tenant) => getOwnTemplate(tenant, id))).name).toBe("Course");
  });

  it("are hidden from everyone at once, and listed for their erasure until it is done", async () => {
    const [owner, other] = [await person(), await person()];
    const { id } = await draftOf(owner);
    await as(owner, (tenant) => publishTemplate(tenant, id));
    await as(owner, (tenant) => hideTemplate(tenant, id));
    await as(owner, (tenant) => hideTemplate(tenant, id));
    await expect(as(other, (tenant) => getUsableTemplate(tenant, id))).rejects.toMatchObject(notFound);
    await expect(as(owner, (tenant) => getUsableTemplate(tenant, id))).rejects.toMatchObject(notFound);
    expect(await as(owner, listHiddenTemplates)).toMatchObject([{ id }]);
    await as(owner, (tenant) => deleteTemplateRow(tenant, id));
    expect(await as(owner, listHiddenTemplates)).toEqual([]);
  });
});
