import { randomUUID } from "node:crypto";
import { createTemplate, publishTemplate } from "@atoll/db/templates";
import { type TemporaryDatabase, temporaryDatabase } from "@atoll/db/testing/temporary-database";
import { createUser } from "@atoll/db/users";
import { withTenant } from "@atoll/db/with-tenant";
import { listWorkspaces } from "@atoll/db/workspaces";
import { AtollError } from "@atoll/protocol/atoll-error";
import type { CreateWorkspace } from "@atoll/protocol/hostd-api";
import type { WorkspaceStatus } from "@atoll/protocol/workspace-status";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { createWorkspace } from "./create-workspace.ts";
import { forkWorkspace } from "./fork-workspace.ts";
import { resumeWorkspace, type StartContext } from "./start-workspace.ts";

let database: TemporaryDatabase;
beforeAll(async () => {
  database = await temporaryDatabase();
});
afterAll(() => database[Symbol.asyncDispose]());

const person = async () =>
  (await createUser(database.db, { email: `${randomUUID()}@people.example`, name: "P", passwordHash: null }))
    .id;

function context(create = vi.fn(async (_id: string, _body: CreateWorkspace) => ({}) as WorkspaceStatus)) {
  const notFound = async () => {
    throw new AtollError("workspace.not_found");
  };
  const started: StartContext = {
    hostd: { create, lifecycle: notFound, update: notFound },
    statuses: { waitFor: () => new Promise<never>(() => {}) },
    idlePauseSeconds: 60,
    plan: "free",
    onLateFailure: vi.fn(),
  };
  return { ...started, db: database.db, create };
}

const make = (userId: string, name = "A") =>
  createWorkspace(context(), userId, {
    id: randomUUID(),
    name,
    cpus: 1,
    memoryMb: 512,
    diskMb: 2048,
    egress: "off",
  });

describe("forking", () => {
  it("makes a machine of the source's size and network that begins where the source is", async () => {
    const userId = await person();
    const { workspace: source } = await make(userId);
    const forking = context();
    const origin = { kind: "workspace", workspaceId: source.id } as const;
    const { workspace } = await forkWorkspace(forking, userId, { id: randomUUID(), name: "B", origin });
    expect(workspace).toMatchObject({ name: "B", diskMb: 2048, egress: "off" });
    expect(forking.create).toHaveBeenCalledWith(
      workspace.id,
      expect.objectContaining({ origin, memoryMb: 512 }),
    );
  });

  it("keeps where it begins, so that starting one that never reached its host does not give an empty machine", async () => {
    const userId = await person();
    const { workspace: source } = await make(userId);
    const origin = { kind: "checkpoint", workspaceId: source.id, checkpointId: randomUUID() } as const;
    const away = context(
      vi.fn(async () => {
        throw new AtollError("host.unreachable");
      }),
    );
    const outcome = await forkWorkspace(away, userId, { id: randomUUID(), name: "B", origin });
    expect(outcome.startError).toMatchObject({ code: "host.unreachable" });
    const back = context();
    await resumeWorkspace(back, outcome.workspace);
    expect(back.create).toHaveBeenCalledWith(outcome.workspace.id, expect.objectContaining({ origin }));
  });

  it("counts against the plan", async () => {
    const userId = await person();
    const { workspace: source } = await make(userId);
    await make(userId, "B");
    const origin = { kind: "workspace", workspaceId: source.id } as const;
    const fork = forkWorkspace(context(), userId, { id: randomUUID(), name: "C", origin });
    await expect(fork).rejects.toMatchObject({ code: "plan.workspace_limit" });
  });

  it("does not read another user's workspace or checkpoint", async () => {
    const [owner, stranger] = [await person(), await person()];
    const { workspace: source } = await make(owner);
    const forking = context();
    for (const origin of [
      { kind: "workspace", workspaceId: source.id } as const,
      { kind: "checkpoint", workspaceId: source.id, checkpointId: randomUUID() } as const,
    ]) {
      const fork = forkWorkspace(forking, stranger, { id: randomUUID(), name: "B", origin });
      await expect(fork).rejects.toMatchObject({ code: "workspace.not_found" });
    }
    expect(forking.create).not.toHaveBeenCalled();
    expect(await withTenant(database.db, stranger, listWorkspaces)).toEqual([]);
  });

  it("begins from a template only once that is published, unless it is one's own", async () => {
    const [owner, other] = [await person(), await person()];
    const templateId = randomUUID();
    const facts = { name: "T", image: "base", cpus: 1, memoryMb: 512, diskMb: 2048 };
    await withTenant(database.db, owner, (tenant) =>
      createTemplate(tenant, {
        id: templateId,
        sourceWorkspaceId: randomUUID(),
        checkpointId: randomUUID(),
        ...facts,
      }),
    );
    const origin = { kind: "template", templateId } as const;
    const fork = (userId: string) =>
      forkWorkspace(context(), userId, { id: randomUUID(), name: "B", origin });
    await expect(fork(other)).rejects.toMatchObject({ code: "template.not_found" });
    expect((await fork(owner)).workspace.diskMb).toBe(2048);
    await withTenant(database.db, owner, (tenant) => publishTemplate(tenant, templateId));
    expect((await fork(other)).workspace.egress).toBe("packages");
  });
});
