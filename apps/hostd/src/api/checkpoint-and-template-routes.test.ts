import { randomUUID } from "node:crypto";
import { request } from "node:http";
import { join } from "node:path";
import {
  checkpointInfo,
  checkpointList,
  deleteAnswer,
  ownerUsage,
  restorePathsAnswer,
  templateInfo,
  templateList,
  tombstoneList,
} from "@atoll/protocol/hostd-api";
import { coreScrub } from "@atoll/protocol/messages/core";
import { isPlanSize } from "@atoll/protocol/plans";
import { workspaceStatus } from "@atoll/protocol/workspace-status";
import { pino } from "pino";
import { describe, expect, it } from "vitest";
import { fakeHealth } from "../testing/fake-health.ts";
import { createBody, FakeHost, OWNER } from "../testing/fake-host.ts";
import { ApiServer } from "./api-server.ts";

async function start() {
  const host = await FakeHost.start();
  const restored: string[] = [];
  const ended: string[] = [];
  const server = new ApiServer(
    {
      workspaces: host.registry,
      sessions: host.sessions,
      feed: host.feed,
      clock: host.clock,
      allowsSize: isPlanSize,
      health: fakeHealth,
      restorePaths: async (_workspace, { paths }) => {
        restored.push(...paths);
        return { restoredBytes: 5 };
      },
      presetChanged: () => {},
      checkpointDeleted: async (_workspaceId, checkpointId) => void ended.push(checkpointId),
    },
    pino({ level: "silent" }),
  );
  const socketPath = join(host.directory, "hostd.sock");
  await server.listen(socketPath);
  const send = async (method: string, path: string, body?: unknown) => {
    const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: unknown }>();
    const outgoing = request({ socketPath, method, path }, async (incoming) => {
      let text = "";
      for await (const chunk of incoming) text += String(chunk);
      resolve({ status: incoming.statusCode ?? 0, body: JSON.parse(text) });
    });
    outgoing.on("error", reject);
    outgoing.end(body === undefined ? undefined : JSON.stringify(body));
    return promise;
  };
  const id = randomUUID();
  const path = `/v1/workspaces/${id}`;
  await send("PUT", path, createBody({ idlePauseSeconds: 86_400 }));
  return {
    host,
    send,
    id,
    path,
    restored,
    ended,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await host[Symbol.asyncDispose]();
    },
  };
}

it("carries a checkpoint through its life", async () => {
  await using api = await start();
  const checkpointId = randomUUID();
  const at = `${api.path}/checkpoints/${checkpointId}`;
  const made = await api.send("PUT", at, { name: " Before lunch ", withMemory: true });
  expect(checkpointInfo.parse(made.body)).toMatchObject({
    checkpointId,
    name: "Before lunch",
    kind: "named",
  });
  expect((await api.send("PUT", at, { name: "again", withMemory: false })).body).toEqual(made.body);
  const list = checkpointList.parse((await api.send("GET", `${api.path}/checkpoints`)).body);
  expect(list).toMatchObject({ checkpoints: [{ checkpointId }], currentParentId: checkpointId });
  api.host.source.machine.save("work", "later");
  const restore = { checkpointId, safetyCheckpointId: randomUUID() };
  const restored = await api.send("POST", `${api.path}/restore`, restore);
  expect(workspaceStatus.parse(restored.body)).toMatchObject({ state: "running", reason: "restored" });
  const stale = { ...restore, safetyCheckpointId: randomUUID(), generation: 0 };
  expect(await api.send("POST", `${api.path}/restore`, stale)).toMatchObject({
    status: 409,
    body: { code: "workspace.stale_generation" },
  });
  expect(await api.send("DELETE", at)).toEqual({ status: 200, body: {} });
  expect(await api.send("DELETE", at)).toEqual({ status: 200, body: {} });
  expect(api.ended).toContain(checkpointId);
  expect(
    await api.send("POST", `${api.path}/restore`, { ...restore, safetyCheckpointId: randomUUID() }),
  ).toMatchObject({
    status: 404,
    body: { code: "checkpoint.not_found" },
  });
});

it("restores single files over a safety checkpoint of what is there", async () => {
  await using api = await start();
  const checkpointId = randomUUID();
  await api.send("PUT", `${api.path}/checkpoints/${checkpointId}`, { name: "x", withMemory: false });
  const safetyCheckpointId = randomUUID();
  const body = { checkpointId, safetyCheckpointId, paths: ["/workspace/a", "/workspace/b"] };
  const answer = await api.send("POST", `${api.path}/restore-paths`, body);
  expect(restorePathsAnswer.parse(answer.body)).toEqual({ restoredBytes: 5 });
  expect(api.restored).toEqual(body.paths);
  const { checkpoints } = checkpointList.parse((await api.send("GET", `${api.path}/checkpoints`)).body);
  expect(checkpoints[0]).toMatchObject({ checkpointId: safetyCheckpointId, kind: "safety" });
  expect(
    await api.send("POST", `${api.path}/restore-paths`, { ...body, checkpointId: randomUUID() }),
  ).toMatchObject({
    status: 404,
    body: { code: "checkpoint.not_found" },
  });
});

it("adds up what everything of an owner takes on the disk", async () => {
  await using api = await start();
  const of = async (owner: string) =>
    ownerUsage.parse((await api.send("GET", `/v1/owners/${owner}/usage`)).body);
  const before = await of(OWNER);
  expect(before).toMatchObject({ workspaceCount: 1, checkpointCount: 0, unknownCount: 0 });
  await api.send("PUT", `${api.path}/checkpoints/${randomUUID()}`, { name: "x", withMemory: false });
  const other = await api.host.create({ slug: "other" });
  const { usage } = checkpointList.parse((await api.send("GET", `${api.path}/checkpoints`)).body);
  const { usage: second } = await other.listCheckpoints();
  expect(await of(OWNER)).toEqual({
    ...{ workspaceCount: 2, checkpointCount: 1, templateCount: 0, unknownCount: 0 },
    layerBytes: usage.layerBytes + second.layerBytes,
    snapshotBytes: usage.snapshotBytes + second.snapshotBytes,
  });
  expect(await of(randomUUID())).toMatchObject({ workspaceCount: 0, layerBytes: 0 });
});

it.each(["pause", "stop"])("starts a workspace to restore single files into it: after a %s", async (how) => {
  await using api = await start();
  const checkpointId = randomUUID();
  await api.send("PUT", `${api.path}/checkpoints/${checkpointId}`, { name: "x", withMemory: false });
  await api.send("POST", `${api.path}/${how}`);
  const unknown = { checkpointId: randomUUID(), safetyCheckpointId: randomUUID(), paths: ["/workspace/a"] };
  expect(await api.send("POST", `${api.path}/restore-paths`, unknown)).toMatchObject({ status: 404 });
  expect((await api.send("GET", api.path)).body).not.toMatchObject({ state: "running" });
  const answer = await api.send("POST", `${api.path}/restore-paths`, { ...unknown, checkpointId });
  expect(answer).toMatchObject({ status: 200 });
  expect(api.restored).toEqual(unknown.paths);
  expect((await api.send("GET", api.path)).body).toMatchObject({ state: "running" });
});

it("takes a body of a thousand long paths where that is right, and nowhere else", async () => {
  await using api = await start();
  const paths = Array.from({ length: 1000 }, (_, index) => `/workspace/${"x".repeat(200)}${index}`);
  const body = { checkpointId: randomUUID(), safetyCheckpointId: randomUUID(), paths };
  expect(await api.send("POST", `${api.path}/restore-paths`, body)).toMatchObject({ status: 404 });
  expect(await api.send("POST", `${api.path}/restore`, body)).toMatchObject({ status: 413 });
});

it("keeps a workspace awake, within bounds", async () => {
  await using api = await start();
  const kept = await api.send("POST", `${api.path}/keep-awake`, { seconds: 7200 });
  expect(workspaceStatus.parse(kept.body).awakeBecause).toMatchObject([
    { kind: "lease", untilMs: api.host.clock.now() + 7_200_000 },
  ]);
  const ended = await api.send("POST", `${api.path}/keep-awake`, { seconds: 0 });
  expect(workspaceStatus.parse(ended.body).awakeBecause).toBeUndefined();
  expect(await api.send("POST", `${api.path}/keep-awake`, { seconds: 1e9 })).toMatchObject({ status: 400 });
});

it.each<[string, (api: Awaited<ReturnType<typeof start>>) => Promise<unknown>]>([
  [
    "a checkpoint",
    (api) => api.send("PUT", `${api.path}/checkpoints/${randomUUID()}`, { name: "a", withMemory: false }),
  ],
  ["a deleted checkpoint", (api) => api.send("DELETE", `${api.path}/checkpoints/${randomUUID()}`)],
  ["another network setting", (api) => api.send("PATCH", api.path, { egress: "off" })],
  [
    "a fork",
    (api) =>
      api.send(
        "PUT",
        `/v1/workspaces/${randomUUID()}`,
        createBody({ slug: "fork", origin: { kind: "workspace", workspaceId: api.id } }),
      ),
  ],
])("counts the request for %s as work, and no look at it", async (detail, ask) => {
  await using api = await start();
  const workspace = api.host.registry.get(api.id);
  for (const path of [api.path, `${api.path}/checkpoints`, "/v1/workspaces", "/healthz"]) {
    expect((await api.send("GET", path)).status).toBe(200);
  }
  expect(workspace.status.awakeBecause).toBeUndefined();
  await ask(api);
  expect(workspace.status.awakeBecause).toContainEqual({ kind: "api", detail });
});

it("cuts a lease to what the plan allows, shows it, and records it", async () => {
  await using api = await start();
  await api.send("PATCH", api.path, { keepAwakeMaxSeconds: 7200 });
  const kept = workspaceStatus.parse(
    (await api.send("POST", `${api.path}/keep-awake`, { seconds: 28_800 })).body,
  );
  const nowMs = api.host.clock.now();
  const lease = { kind: "lease", untilMs: nowMs + 7_200_000, askedUntilMs: nowMs + 28_800_000 };
  expect(kept).toMatchObject({ keepAwakeMaxSeconds: 7200, awakeBecause: [lease] });
  // A smaller plan takes it from what is held.
  await api.send("PATCH", api.path, { keepAwakeMaxSeconds: 600 });
  const { record, status } = api.host.registry.get(api.id);
  expect(status.awakeBecause).toMatchObject([{ untilMs: nowMs + 600_000 }]);
  expect(record).toMatchObject({ keepAwakeMaxSeconds: 600, lease: { untilMs: nowMs + 600_000 } });
});

it("changes retention and the rest of the plan's settings at once", async () => {
  await using api = await start();
  const retention = { stopAfterPausedSeconds: 10, archiveAfterStoppedSeconds: 20 };
  const patch = { retention, checkpointEverySeconds: 600, maxCheckpoints: 3 };
  expect((await api.send("PATCH", api.path, patch)).status).toBe(200);
  expect(api.host.registry.get(api.id).record).toMatchObject(patch);
  expect((await api.send("PATCH", api.path, { checkpointEverySeconds: null })).status).toBe(200);
  expect(api.host.registry.get(api.id).record).toMatchObject({ ...patch, checkpointEverySeconds: null });
});

it("carries a template through its life", async () => {
  await using api = await start();
  api.host.source.onMachine = (machine) => {
    machine.guest.dispatcher.onRequest(coreScrub, () => ({ files: [], count: 0 }));
  };
  const checkpointId = randomUUID();
  await api.send("PUT", `${api.path}/checkpoints/${checkpointId}`, { name: "x", withMemory: false });
  const templateId = randomUUID();
  const at = `/v1/templates/${templateId}`;
  const body = { ownerId: OWNER, workspaceId: api.id, checkpointId };
  expect(templateInfo.parse((await api.send("PUT", at, body)).body).state).toBe("making");
  await api.host.drive(api.host.registry.templates.settled(templateId));
  expect(templateInfo.parse((await api.send("GET", at)).body).state).toBe("draft");
  expect(templateInfo.parse((await api.send("PUT", at, body)).body).state).toBe("draft");
  expect(templateInfo.parse((await api.send("POST", `${at}/publish`, {})).body).state).toBe("published");
  expect(templateList.parse((await api.send("GET", "/v1/templates")).body).templates).toHaveLength(1);
  const deleted = deleteAnswer.parse((await api.send("DELETE", at)).body);
  expect(deleted.erasures).toMatchObject([{ workspaceId: templateId }]);
  expect(deleteAnswer.parse((await api.send("DELETE", at)).body)).toEqual(deleted);
  expect(await api.send("GET", at)).toMatchObject({ status: 404, body: { code: "template.not_found" } });
});

it("tells of every tombstone", async () => {
  await using api = await start();
  const unknown = randomUUID();
  await api.send("DELETE", `/v1/workspaces/${unknown}`);
  await api.send("DELETE", `/v1/owners/${OWNER}`);
  const { tombstones } = tombstoneList.parse((await api.send("GET", "/v1/tombstones")).body);
  const ids = tombstones.map(({ kind, id }) => `${kind} ${id}`);
  expect(ids.toSorted()).toEqual(
    [`workspace ${unknown}`, `workspace ${api.id}`, `owner ${OWNER}`].toSorted(),
  );
});

describe("bad input", () => {
  const id = randomUUID();
  it.each([
    ["PUT", "/checkpoints/x", { name: "a", withMemory: true }, 400, "request.invalid"],
    ["PUT", `/checkpoints/${id}`, { name: "", withMemory: true }, 400, "request.invalid"],
    ["PUT", `/checkpoints/${id}`, { name: "a\u0000b", withMemory: true }, 400, "request.invalid"],
    ["PUT", `/checkpoints/${id}`, { name: "a", withMemory: "yes" }, 400, "request.invalid"],
    ["PUT", `/checkpoints/${id}`, { name: "a", withMemory: true, kind: "safety" }, 400, "request.invalid"],
    ["POST", "/restore", { checkpointId: id }, 400, "request.invalid"],
    [
      "POST",
      "/restore-paths",
      { checkpointId: id, safetyCheckpointId: id, paths: [] },
      400,
      "request.invalid",
    ],
    [
      "POST",
      "/restore-paths",
      { checkpointId: id, safetyCheckpointId: id, paths: ["a"] },
      400,
      "request.invalid",
    ],
    ["POST", "/keep-awake", { seconds: -1 }, 400, "request.invalid"],
    ["PATCH", "", { retention: { stopAfterPausedSeconds: 0 } }, 400, "request.invalid"],
  ])("%s %s %j answers %d %s", async (method, tail, body, status, code) => {
    await using api = await start();
    expect(await api.send(method, `${api.path}${tail}`, body)).toMatchObject({ status, body: { code } });
  });

  it("names what a template cannot be made of", async () => {
    await using api = await start();
    const at = `/v1/templates/${randomUUID()}`;
    const body = { ownerId: OWNER, workspaceId: api.id, checkpointId: randomUUID() };
    expect(await api.send("PUT", at, body)).toMatchObject({ body: { code: "checkpoint.not_found" } });
    const foreign = { ...body, ownerId: randomUUID() };
    expect(await api.send("PUT", at, foreign)).toMatchObject({ body: { code: "workspace.not_found" } });
    expect(await api.send("POST", `${at}/publish`)).toMatchObject({ body: { code: "template.not_found" } });
    expect((await api.send("DELETE", at)).body).toMatchObject({ erasures: [] });
  });
});
