import { randomUUID } from "node:crypto";
import { listReceipts } from "@atoll/db/receipts";
import { listTombstones } from "@atoll/db/tombstones";
import { createUser } from "@atoll/db/users";
import { withTenant } from "@atoll/db/with-tenant";
import { listWorkspaces } from "@atoll/db/workspaces";
import { AtollError } from "@atoll/protocol/atoll-error";
import type { WorkspaceStatus } from "@atoll/protocol/workspace-status";
import { verifyReceipt } from "@atoll/receipt/verify-receipt";
import { describe, expect, it, vi } from "vitest";
import { databaseAndIssuer } from "#server/testing/database-and-issuer.ts";
import { resumeErasures } from "../account/resume-erasures.ts";
import { createWorkspace } from "./create-workspace.ts";
import { deleteWorkspace } from "./delete-workspace.ts";
import { resumeWorkspace, type StartContext } from "./start-workspace.ts";

const suite = databaseAndIssuer();

const size = { cpus: 1, memoryMb: 512, diskMb: 2048, egress: "packages" as const };
const person = async () =>
  (
    await createUser(suite.database.db, {
      email: `${randomUUID()}@people.example`,
      name: "P",
      passwordHash: null,
    })
  ).id;
const never = () => new Promise<never>(() => {});

function context(
  hostd: Partial<StartContext["hostd"]>,
  waitFor = never as StartContext["statuses"]["waitFor"],
) {
  const onLateFailure = vi.fn();
  const absent = async () => {
    throw new AtollError("host.unreachable");
  };
  return {
    db: suite.database.db,
    hostd: { create: absent, lifecycle: absent, update: absent, ...hostd },
    statuses: { waitFor },
    idlePauseSeconds: 60,
    plan: "free" as const,
    onLateFailure,
  };
}

const evidence = (workspaceId: string) => ({
  erasures: [
    {
      workspaceId,
      keyCommitment: "0".repeat(64),
      requestedAtMs: 1,
      keyDestroyedAtMs: 2,
      dataUnlinkedAtMs: 3,
    },
  ],
  ownerKeyCommitment: null,
  ownerKeyDestroyedAtMs: null,
});

describe("creating", () => {
  it("writes the row first and keeps it when the host is away, so that it can be started or deleted", async () => {
    const userId = await person();
    const outcome = await createWorkspace(context({}), userId, { id: randomUUID(), name: "A", ...size });
    expect(outcome.startError).toMatchObject({ code: "host.unreachable" });
    expect(await withTenant(suite.database.db, userId, listWorkspaces)).toMatchObject([{ name: "A" }]);
    const create = vi.fn(async () => ({}) as WorkspaceStatus);
    const notFound = async () => {
      throw new AtollError("workspace.not_found");
    };
    await resumeWorkspace(context({ create, lifecycle: notFound, update: notFound }), outcome.workspace);
    expect(create).toHaveBeenCalledWith(
      outcome.workspace.id,
      expect.objectContaining({
        ownerId: userId,
        slug: outcome.workspace.slug,
        idlePauseSeconds: 60,
        retention: { stopAfterPausedSeconds: 86_400, archiveAfterStoppedSeconds: 14 * 86_400 },
        checkpointEverySeconds: 7200,
        maxCheckpoints: 5,
        keepAwakeMaxSeconds: 7200,
      }),
    );
  });

  it("makes no new machine for a workspace whose record the host cannot read", async () => {
    const { workspace } = await createWorkspace(context({}), await person(), {
      ...{ id: randomUUID(), name: "A", ...size },
    });
    const create = vi.fn();
    const damaged = async () => {
      throw new AtollError("workspace.record_damaged");
    };
    await expect(
      resumeWorkspace(context({ create, lifecycle: damaged, update: damaged }), workspace),
    ).rejects.toMatchObject({ code: "workspace.record_damaged" });
    expect(create).not.toHaveBeenCalled();
  });

  it("answers as soon as the host has accepted, and tells of a failure after that", async () => {
    const userId = await person();
    const failed = Promise.withResolvers<WorkspaceStatus>();
    const accepted = async () => ({}) as WorkspaceStatus;
    const starting = context({ create: () => failed.promise }, accepted);
    const outcome = await createWorkspace(starting, userId, { id: randomUUID(), name: "A", ...size });
    expect(outcome.startError).toBeUndefined();
    failed.reject(new AtollError("vm.start_failed"));
    await vi.waitFor(() => expect(starting.onLateFailure).toHaveBeenCalledOnce());
  });

  it("makes nothing twice for a repeated request, and nothing above the plan", async () => {
    const userId = await person();
    const ready = context({ create: async () => ({}) as WorkspaceStatus });
    const input = { id: randomUUID(), name: "A", ...size };
    const first = await createWorkspace(ready, userId, input);
    const again = await createWorkspace(ready, userId, input);
    expect(again.workspace.slug).toBe(first.workspace.slug);
    const large = { id: randomUUID(), name: "B", ...size, memoryMb: 2048 };
    await expect(createWorkspace(ready, userId, large)).rejects.toMatchObject({
      code: "plan.size_limit",
      details: { plan: "free" },
    });
    await createWorkspace(ready, userId, { ...input, id: randomUUID() });
    await expect(createWorkspace(ready, userId, { ...input, id: randomUUID() })).rejects.toMatchObject({
      code: "plan.workspace_limit",
    });
  });
});

describe("deleting", () => {
  it("hides it at once, and finishes later what a host that was away could not do", async () => {
    const userId = await person();
    const { workspace } = await createWorkspace(context({}), userId, {
      id: randomUUID(),
      name: "A",
      ...size,
    });
    const { db } = suite.database;
    const away = {
      deleteWorkspace: async () => {
        throw new AtollError("host.unreachable");
      },
      deleteOwner: never,
      revokeSessions: never,
    };
    await expect(
      deleteWorkspace({ db, hostd: away, receipts: suite.issuer.receipts }, userId, workspace.id),
    ).rejects.toMatchObject({
      code: "host.unreachable",
    });
    expect(await withTenant(db, userId, listWorkspaces)).toEqual([]);
    const back = { ...away, deleteWorkspace: vi.fn(async (id: string) => evidence(id)) };
    await resumeErasures({ db, hostd: back, receipts: suite.issuer.receipts });
    expect(back.deleteWorkspace).toHaveBeenCalledWith(workspace.id);
    expect(await listTombstones(db, { onlyPending: true })).toEqual([]);
  });

  it.each(["workspace.record_damaged", "workspace.not_found"] as const)(
    "attests nothing while the host answers %s",
    async (code) => {
      const userId = await person();
      const { workspace } = await createWorkspace(context({}), userId, {
        id: randomUUID(),
        name: "A",
        ...size,
      });
      const { db } = suite.database;
      const hostd = {
        deleteWorkspace: async () => {
          throw new AtollError(code);
        },
      };
      const { receipts } = suite.issuer;
      await expect(deleteWorkspace({ db, hostd, receipts }, userId, workspace.id)).rejects.toMatchObject({
        code,
      });
      expect(await withTenant(db, userId, listReceipts)).toEqual([]);
      const pending = await listTombstones(db, { onlyPending: true });
      expect(pending.map(({ subjectId }) => subjectId)).toContain(workspace.id);
    },
  );

  it("answers the evidence, and takes a machine that was never made for erased", async () => {
    const userId = await person();
    const { db } = suite.database;
    const make = async () =>
      (await createWorkspace(context({}), userId, { id: randomUUID(), name: "A", ...size })).workspace.id;
    const made = await make();
    const hostd = { deleteWorkspace: async (id: string) => evidence(id) };
    const { receipts } = suite.issuer;
    const { erasures, receiptId } = await deleteWorkspace({ db, hostd, receipts }, userId, made);
    expect(erasures).toEqual(evidence(made).erasures);
    const [stored] = await withTenant(db, userId, listReceipts);
    const { receipt } = await verifyReceipt(stored?.json ?? "", suite.issuer.publicKey);
    expect(receipt).toMatchObject({
      receiptId,
      scope: "workspace",
      counts: { workspaces: 1, keys: 1 },
      keysDestroyedAtMs: 2,
      dataUnlinkedAtMs: 3,
    });
    const neverMade = await make();
    const nothing = { erasures: [], ownerKeyCommitment: null, ownerKeyDestroyedAtMs: null };
    const unknown = { deleteWorkspace: async () => nothing };
    expect(await deleteWorkspace({ db, hostd: unknown, receipts }, userId, neverMade)).toMatchObject({
      erasures: [],
    });
  });

  it("does not touch another user's workspace", async () => {
    const [owner, stranger] = [await person(), await person()];
    const { workspace } = await createWorkspace(context({}), owner, { id: randomUUID(), name: "A", ...size });
    const hostd = { deleteWorkspace: vi.fn() };
    await expect(
      deleteWorkspace(
        { db: suite.database.db, hostd, receipts: suite.issuer.receipts },
        stranger,
        workspace.id,
      ),
    ).rejects.toMatchObject({
      code: "workspace.not_found",
    });
    expect(hostd.deleteWorkspace).not.toHaveBeenCalled();
    expect(await withTenant(suite.database.db, owner, listWorkspaces)).toHaveLength(1);
  });
});
