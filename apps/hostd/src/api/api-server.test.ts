import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { stat } from "node:fs/promises";
import { request } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { AtollError } from "@atoll/protocol/atoll-error";
import { deleteAnswer, hostHealth, workspaceList } from "@atoll/protocol/hostd-api";
import { isPlanSize } from "@atoll/protocol/plans";
import { type WorkspaceStatus, workspaceStatus } from "@atoll/protocol/workspace-status";
import { pino } from "pino";
import { describe, expect, it } from "vitest";
import { fakeHealth } from "../testing/fake-health.ts";
import { createBody, FakeHost, OWNER } from "../testing/fake-host.ts";
import { ApiServer } from "./api-server.ts";

async function start() {
  const host = await FakeHost.start();
  const server = new ApiServer(
    {
      workspaces: host.registry,
      sessions: host.sessions,
      feed: host.feed,
      clock: host.clock,
      restorePaths: async (_workspace, { paths }) => ({ restoredBytes: paths.length }),
      presetChanged: () => {},
      checkpointDeleted: async () => {},
      allowsSize: isPlanSize,
      health: fakeHealth,
    },
    pino({ level: "silent" }),
  );
  const socketPath = join(host.directory, "hostd.sock");
  await server.listen(socketPath);
  const send = (method: string, path: string, body?: unknown) => {
    const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: unknown }>();
    const outgoing = request({ socketPath, method, path }, (incoming) => {
      let text = "";
      incoming.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
      });
      incoming.on("end", () =>
        resolve({ status: incoming.statusCode ?? 0, body: JSON.parse(text) as unknown }),
      );
    });
    outgoing.on("error", reject);
    outgoing.end(
      typeof body === "string" || body instanceof Uint8Array ? body : body && JSON.stringify(body),
    );
    return promise;
  };
  return {
    host,
    socketPath,
    send,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await host[Symbol.asyncDispose]();
    },
  };
}

it("is a socket only its own user may open", async () => {
  await using api = await start();
  expect((await stat(api.socketPath)).mode & 0o777).toBe(0o600);
});

it("carries a workspace through its life", async () => {
  await using api = await start();
  const id = randomUUID();
  const path = `/v1/workspaces/${id}`;
  const state = (answer: { body: unknown }) => workspaceStatus.parse(answer.body).state;
  expect(state(await api.send("PUT", path, createBody()))).toBe("running");
  expect(state(await api.send("PUT", path, createBody()))).toBe("running");
  expect(state(await api.send("POST", `${path}/pause`, {}))).toBe("paused");
  expect(state(await api.send("POST", `${path}/resume`))).toBe("running");
  expect(state(await api.send("POST", `${path}/stop`, {}))).toBe("stopped");
  const updated = await api.send("PATCH", path, { egress: "open" });
  expect(workspaceStatus.parse(updated.body).egress).toBe("open");
  expect(api.host.presetChanges).toBe(1);
  expect(workspaceList.parse((await api.send("GET", "/v1/workspaces")).body).workspaces).toHaveLength(1);
  expect(hostHealth.parse((await api.send("GET", "/healthz")).body)).toMatchObject({
    workspaceCount: 1,
    runningCount: 0,
  });
  const deleted = deleteAnswer.parse((await api.send("DELETE", path)).body);
  expect(deleted.erasures).toMatchObject([{ workspaceId: id }]);
  expect(deleteAnswer.parse((await api.send("DELETE", path)).body)).toEqual(deleted);
  expect(state(await api.send("GET", path))).toBe("erased");
  const owner = deleteAnswer.parse((await api.send("DELETE", `/v1/owners/${OWNER}`)).body);
  expect(owner).toMatchObject({ erasures: deleted.erasures, ownerKeyDestroyedAtMs: 3 });
});

it("makes machines of the plans' sizes, others only where such a one is", async () => {
  await using api = await start();
  const odd = { ...createBody(), diskMb: 2049 };
  const refused = await api.send("PUT", `/v1/workspaces/${randomUUID()}`, odd);
  expect(refused).toMatchObject({ status: 400, body: { code: "plan.size_unknown" } });
  const { id } = await api.host.create({ diskMb: 2049 });
  expect((await api.send("PUT", `/v1/workspaces/${id}`, odd)).status).toBe(200);
  const origin = { kind: "workspace", workspaceId: id };
  expect((await api.send("PUT", `/v1/workspaces/${randomUUID()}`, { ...odd, origin })).status).toBe(200);
});

describe("bad input", () => {
  const id = randomUUID();
  it.each([
    ["GET", "/", undefined, 404, "request.unknown"],
    ["GET", "/v1/workspaces/", undefined, 400, "request.invalid"],
    ["POST", "/v1/workspaces", {}, 404, "request.unknown"],
    ["GET", "/v1/workspaces/..%2f..%2fetc", undefined, 400, "request.invalid"],
    ["GET", `/v1/workspaces/${id.toUpperCase()}X`, undefined, 400, "request.invalid"],
    ["GET", `/v1/workspaces/${id}`, undefined, 404, "workspace.not_found"],
    ["POST", `/v1/workspaces/${id}/pause`, {}, 404, "workspace.not_found"],
    ["PUT", `/v1/workspaces/${id}`, undefined, 400, "request.invalid"],
    ["PUT", `/v1/workspaces/${id}`, "{", 400, "request.invalid"],
    ["PUT", `/v1/workspaces/${id}`, new Uint8Array([0x22, 0xff, 0x22]), 400, "request.invalid"],
    ["PUT", `/v1/workspaces/${id}`, [], 400, "request.invalid"],
    ["PUT", `/v1/workspaces/${id}`, { ...createBody(), cpus: "2" }, 400, "request.invalid"],
    ["PUT", `/v1/workspaces/${id}`, { ...createBody(), slug: "../x" }, 400, "request.invalid"],
    ["PUT", `/v1/workspaces/${id}`, "x".repeat(70_000), 413, "request.too_large"],
    ["POST", "/v1/sessions/revoke", { userId: "me" }, 400, "request.invalid"],
  ])("%s %s %j answers %d %s", async (method, path, body, status, code) => {
    await using api = await start();
    const answer = await api.send(method, path, body);
    expect(answer).toMatchObject({ status, body: { code } });
    expect((await api.send("GET", "/healthz")).status).toBe(200);
  });

  it("names an unknown key, and the field that is wrong", async () => {
    await using api = await start();
    const path = `/v1/workspaces/${randomUUID()}`;
    const unknown = await api.send("PUT", path, { ...createBody(), memoryMB: 1 });
    expect(unknown.body).toEqual({ code: "request.invalid", details: { field: "memoryMB" } });
    const wrong = await api.send("PUT", path, { ...createBody(), cpus: 0 });
    expect(wrong.body).toEqual({ code: "request.invalid", details: { field: "cpus" } });
  });

  it("lets nothing of an inner fault out", async () => {
    await using api = await start();
    api.host.source.before = () => {
      throw new Error("secret path /x/y");
    };
    const answer = await api.send("PUT", `/v1/workspaces/${randomUUID()}`, createBody());
    expect(answer).toEqual({ status: 500, body: { code: "internal" } });
  });

  it("closes on what is not HTTP", async () => {
    await using api = await start();
    const socket = connect(api.socketPath);
    socket.on("error", () => {});
    socket.end("\0\0 rubbish\r\n\r\n");
    socket.resume();
    await once(socket, "close");
    expect((await api.send("GET", "/healthz")).status).toBe(200);
  });

  it("passes status and details of the error table on", async () => {
    await using api = await start();
    const workspace = await api.host.create();
    const stale = await api.send("POST", `/v1/workspaces/${workspace.id}/pause`, { generation: 0 });
    expect(stale).toMatchObject({
      status: 409,
      body: { code: "workspace.stale_generation", details: { generation: 1 } },
    });
    api.host.source.before = () => {
      throw new AtollError("host.disk_full");
    };
    const full = await api.send("POST", `/v1/workspaces/${workspace.id}/pause`, {});
    expect(full).toMatchObject({ status: 507, body: { code: "host.disk_full" } });
  });
});

describe("events", () => {
  async function listen(socketPath: string) {
    const outgoing = request({ socketPath, path: "/v1/events" });
    outgoing.on("error", () => {});
    outgoing.end();
    const [incoming] = (await once(outgoing, "response")) as [import("node:http").IncomingMessage];
    const lines: string[] = [];
    let rest = "";
    let wake = () => {};
    incoming.setEncoding("utf8").on("data", (chunk: string) => {
      const parts = (rest + chunk).split("\n");
      rest = parts.pop() ?? "";
      lines.push(...parts);
      wake();
    });
    incoming.on("error", () => {});
    return {
      incoming,
      stop: () => outgoing.destroy(),
      async next(matches: (line: string) => boolean): Promise<string> {
        for (;;) {
          const at = lines.findIndex(matches);
          if (at !== -1) return lines.splice(0, at + 1).at(-1) as string;
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      },
    };
  }
  const status = (line: string): WorkspaceStatus => workspaceStatus.parse(JSON.parse(line));

  it("begin with every workspace, then tell each change, with a beat in between", async () => {
    await using api = await start();
    const workspace = await api.host.create();
    const events = await listen(api.socketPath);
    expect(status(await events.next((line) => line !== ""))).toMatchObject({
      workspaceId: workspace.id,
      state: "running",
    });
    await workspace.pause("requested");
    await events.next((line) => line !== "" && status(line).state === "paused");
    api.host.clock.advance(15_000);
    expect(await events.next((line) => line === "")).toBe("");
    events.stop();
  });

  it("give a slow reader the newest only, and hold no more", async () => {
    await using api = await start();
    const workspace = await api.host.create();
    const events = await listen(api.socketPath);
    await events.next((line) => line !== "");
    events.incoming.pause();
    for (let count = 1; count <= 20_000; count++) workspace.setSessionCount(count);
    events.incoming.resume();
    let last = 0;
    let lineCount = 0;
    while (last !== 20_000) {
      last = status(await events.next((line) => line !== "")).sessionCount;
      lineCount += 1;
    }
    expect(lineCount).toBeLessThan(20_000);
    events.stop();
  });
});

it("revokes the sessions of a user", async () => {
  await using api = await start();
  expect(await api.send("POST", "/v1/sessions/revoke", { userId: OWNER })).toEqual({
    status: 200,
    body: { endedCount: 0 },
  });
});
