import { randomUUID } from "node:crypto";
import { listAudit } from "@atoll/db/audit";
import { createWorkspace } from "@atoll/db/create-workspace";
import { type TemporaryDatabase, temporaryDatabase } from "@atoll/db/testing/temporary-database";
import { createUser } from "@atoll/db/users";
import { withTenant } from "@atoll/db/with-tenant";
import type { CheckpointInfo } from "@atoll/protocol/hostd-api";
import { PLAN_TIMES } from "@atoll/protocol/plans";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { HostdClient } from "#server/hosts/hostd-client.ts";
import { FakeHostd } from "#server/testing/fake-hostd.ts";
import { keepAwake } from "../workspace/keep-awake.ts";
import { createCheckpoint } from "./create-checkpoint.ts";
import { deleteCheckpoint } from "./delete-checkpoint.ts";
import { listCheckpoints } from "./list-checkpoints.ts";
import { restoreCheckpoint } from "./restore-checkpoint.ts";
import { restorePaths } from "./restore-paths.ts";

let database: TemporaryDatabase;
beforeAll(async () => {
  database = await temporaryDatabase();
});
afterAll(() => database[Symbol.asyncDispose]());

async function setup() {
  const fake = await FakeHostd.start();
  const hostd = new HostdClient({ socketPath: fake.socketPath });
  const { db } = database;
  const { id } = await createUser(db, {
    email: `${randomUUID()}@people.example`,
    name: "P",
    passwordHash: null,
  });
  const workspace = await withTenant(db, id, (tenant) =>
    createWorkspace(tenant, { name: "w", image: "base" }),
  );
  const user = { id, plan: "free" as const };
  const base = `/v1/workspaces/${workspace.id}`;
  const audit = async () =>
    (await withTenant(db, id, (tenant) => listAudit(tenant, { limit: 10 }))).map(
      ({ action, outcome, target, detail }) => ({ action, outcome, target, detail }),
    );
  const status = {
    workspaceId: workspace.id,
    ownerId: id,
    state: "running",
    reason: "restored",
    sinceMs: 1,
    generation: 3,
    sessionCount: 0,
    isolation: "emulated",
    egress: "off",
  };
  return { fake, context: { db, hostd }, user, workspaceId: workspace.id, base, audit, status };
}

const checkpoint = (kind: CheckpointInfo["kind"], checkpointId = randomUUID()): CheckpointInfo => ({
  checkpointId,
  name: "c",
  kind,
  createdAtMs: 1,
  hasMemory: false,
  parentId: null,
  ownBytes: 1,
});

describe("timeline", () => {
  it("is empty for a machine that was never made, and tells the plan's limit", async () => {
    const { fake, context, user, workspaceId } = await setup();
    await using _ = fake;
    const timeline = await listCheckpoints(context, user, workspaceId);
    expect(timeline).toMatchObject({ checkpoints: [], maxNamed: PLAN_TIMES.free.maxCheckpoints });
  });

  it("hands the plan's limit to the host before it makes a checkpoint, and records what the host refuses", async () => {
    const { fake, context, user, workspaceId, base, audit, status } = await setup();
    await using _ = fake;
    const wanted = { workspaceId, checkpointId: randomUUID(), name: "Sixth", withMemory: true };
    fake.answers.set(`PATCH ${base}`, { body: status });
    const path = `PUT ${base}/checkpoints/${wanted.checkpointId}`;
    fake.answers.set(path, { status: 409, body: { code: "checkpoint.limit_reached" } });
    await expect(createCheckpoint(context, user, wanted)).rejects.toMatchObject({
      code: "checkpoint.limit_reached",
    });
    expect(fake.bodies).toMatchObject([
      { maxCheckpoints: PLAN_TIMES.free.maxCheckpoints },
      { name: "Sixth", withMemory: true },
    ]);
    expect(await audit()).toMatchObject([
      { action: "checkpoint.create", outcome: "failed", detail: { code: "checkpoint.limit_reached" } },
    ]);
    const made = checkpoint("named", wanted.checkpointId);
    fake.answers.set(path, { body: made });
    expect(await createCheckpoint(context, user, wanted)).toEqual(made);
  });

  it("restores all, or some paths whose names stay out of the log, and deletes", async () => {
    const { fake, context, user, workspaceId, base, audit, status } = await setup();
    await using _ = fake;
    const ids = { checkpointId: randomUUID(), safetyCheckpointId: randomUUID() };
    fake.answers.set(`POST ${base}/restore`, { body: status });
    fake.answers.set(`POST ${base}/restore-paths`, { body: { restoredBytes: 7 } });
    fake.answers.set(`DELETE ${base}/checkpoints/${ids.checkpointId}`, { body: {} });
    await restoreCheckpoint(context, user.id, { workspaceId, ...ids });
    const paths = ["/workspace/secret-plan.txt"];
    expect(await restorePaths(context, user.id, { workspaceId, ...ids, paths })).toEqual({
      restoredBytes: 7,
    });
    await deleteCheckpoint(context, user.id, { workspaceId, checkpointId: ids.checkpointId });
    expect(fake.bodies).toEqual([ids, { ...ids, paths }]);
    const events = await audit();
    expect(events.map(({ action }) => action).sort()).toEqual([
      "checkpoint.delete",
      "checkpoint.restore",
      "checkpoint.restore_paths",
    ]);
    expect(JSON.stringify(events)).not.toContain("secret-plan");
  });

  it("is out of reach for another user, without a word to the host", async () => {
    const { fake, context, workspaceId } = await setup();
    await using _ = fake;
    const stranger = (
      await createUser(database.db, {
        email: `${randomUUID()}@people.example`,
        name: "S",
        passwordHash: null,
      })
    ).id;
    const user = { id: stranger, plan: "team" as const };
    const ids = { workspaceId, checkpointId: randomUUID(), safetyCheckpointId: randomUUID() };
    const attempts = [
      listCheckpoints(context, user, workspaceId),
      createCheckpoint(context, user, { ...ids, name: "x", withMemory: false }),
      deleteCheckpoint(context, stranger, ids),
      restoreCheckpoint(context, stranger, ids),
      restorePaths(context, stranger, { ...ids, paths: ["/workspace/a"] }),
      keepAwake(context, user, { id: workspaceId, seconds: 60 }),
    ];
    for (const outcome of await Promise.allSettled(attempts))
      expect(outcome).toMatchObject({ status: "rejected", reason: { code: "workspace.not_found" } });
    expect(fake.calls).toEqual([]);
  });
});

describe("keeping awake", () => {
  it("grants what the plan allows, and says so", async () => {
    const { fake, context, user, workspaceId, base, status } = await setup();
    await using _ = fake;
    fake.answers.set(`POST ${base}/keep-awake`, { body: status });
    fake.answers.set(`PATCH ${base}`, { body: status });
    const ask = (seconds: number) => keepAwake(context, user, { id: workspaceId, seconds });
    expect(await ask(3600)).toEqual({ seconds: 3600, maxSeconds: 7200 });
    expect(await ask(86_400)).toEqual({ seconds: 7200, maxSeconds: 7200 });
    // The host holds leases of the guest to the same bound.
    const plan = expect.objectContaining({ keepAwakeMaxSeconds: 7200 });
    expect(fake.bodies).toEqual([plan, { seconds: 3600 }, plan, { seconds: 7200 }]);
  });
});
