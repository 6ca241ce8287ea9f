import { randomUUID } from "node:crypto";
import type { WorkspaceStatus } from "@atoll/protocol/workspace-status";
import { describe, expect, it } from "vitest";
import { FakeHostd } from "../testing/fake-hostd.ts";
import { HostdClient } from "./hostd-client.ts";

const id = randomUUID();
const status: WorkspaceStatus = {
  workspaceId: id,
  ownerId: randomUUID(),
  state: "paused",
  reason: "requested",
  sinceMs: 1,
  generation: 2,
  sessionCount: 0,
  isolation: "emulated",
  egress: "off",
};

describe("hostd client", () => {
  it("sends the command and gives back the parsed status", async () => {
    await using hostd = await FakeHostd.start();
    hostd.answers.set(`POST /v1/workspaces/${id}/pause`, { body: status });
    const client = new HostdClient({ socketPath: hostd.socketPath });
    expect(await client.lifecycle(id, "pause")).toEqual(status);
    expect(hostd.bodies).toEqual([{}]);
  });

  it("passes on the code of a refusal with its details", async () => {
    await using hostd = await FakeHostd.start();
    const body = { code: "host.full", details: { limit: 4 } };
    hostd.answers.set(`POST /v1/workspaces/${id}/resume`, { status: 503, body });
    const client = new HostdClient({ socketPath: hostd.socketPath });
    await expect(client.lifecycle(id, "resume")).rejects.toMatchObject(body);
  });

  it.each([
    ["words instead of JSON", "<html>"],
    ["a status that is none", { ...status, state: "dancing" }],
  ])("takes %s for a fault, not for an answer", async (_name, body) => {
    await using hostd = await FakeHostd.start();
    hostd.answers.set(`POST /v1/workspaces/${id}/stop`, { body });
    const client = new HostdClient({ socketPath: hostd.socketPath });
    await expect(client.lifecycle(id, "stop")).rejects.toMatchObject({ code: "internal" });
  });

  it("tells an absent host and one that hangs up apart from a refusal", async () => {
    await using hostd = await FakeHostd.start();
    hostd.answers.set("DELETE /v1/workspaces/x", (response) => response.destroy());
    const client = new HostdClient({ socketPath: hostd.socketPath });
    await expect(client.deleteWorkspace("x")).rejects.toMatchObject({ code: "host.unreachable" });
    const nobody = new HostdClient({ socketPath: `${hostd.socketPath}.none` });
    await expect(nobody.lifecycle(id, "stop")).rejects.toMatchObject({ code: "host.unreachable" });
  });
});
