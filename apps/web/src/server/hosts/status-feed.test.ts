import type { ServerResponse } from "node:http";
import { ManualClock } from "@atoll/base/manual-clock";
import type { WorkspaceStatus } from "@atoll/protocol/workspace-status";
import { describe, expect, it, vi } from "vitest";
import { FakeHostd } from "../testing/fake-hostd.ts";
import { HostdClient } from "./hostd-client.ts";
import { StatusFeed } from "./status-feed.ts";

const [ada, mallory] = ["00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b"];

function status(ownerId: string, workspace: number, patch: Partial<WorkspaceStatus> = {}): WorkspaceStatus {
  return {
    workspaceId: `00000000-0000-4000-9000-00000000000${workspace}`,
    ownerId,
    state: "running",
    reason: "requested",
    sinceMs: 1,
    generation: 1,
    sessionCount: 0,
    isolation: "emulated",
    egress: "off",
    ...patch,
  };
}

async function setup() {
  const hostd = await FakeHostd.start();
  const streams: ServerResponse[] = [];
  hostd.answers.set("GET /v1/events", (response) => {
    response.writeHead(200);
    response.flushHeaders();
    streams.push(response);
  });
  const clock = new ManualClock();
  const stored: WorkspaceStatus[] = [];
  const feed = new StatusFeed({
    hostd: new HostdClient({ socketPath: hostd.socketPath }),
    clock,
    onChange: (changed) => stored.push(changed),
  });
  feed.start();
  await vi.waitFor(() => expect(feed.isHostReachable).toBe(true));
  const say = async (...lines: WorkspaceStatus[]) => {
    const before = stored.length;
    streams.at(-1)?.write(lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
    await vi.waitFor(() => expect(stored).toHaveLength(before + lines.length));
  };
  const stop = async () => {
    feed.close();
    await hostd[Symbol.asyncDispose]();
  };
  return { feed, say, streams, clock, stored, stop };
}

describe("status feed", () => {
  it("gives a reader its own workspaces only: all now, then each change", async () => {
    const { feed, say, stop } = await setup();
    await say(status(ada, 1), status(mallory, 2));
    const leave = new AbortController();
    const reader = feed.watch(ada, leave.signal);
    const first = await reader.next();
    expect(first.value).toEqual({ isHostReachable: true, statuses: [status(ada, 1)] });
    const next = reader.next();
    await say(status(mallory, 2, { state: "paused" }), status(ada, 1, { state: "pausing" }));
    expect((await next).value?.statuses).toEqual([status(ada, 1, { state: "pausing" })]);
    leave.abort();
    expect((await reader.next()).done).toBe(true);
    await stop();
  });

  it("holds the latest state only for a reader that is slow", async () => {
    const { feed, say, stop } = await setup();
    const leave = new AbortController();
    const reader = feed.watch(ada, leave.signal);
    await reader.next();
    for (let generation = 1; generation <= 50; generation += 1) await say(status(ada, 1, { generation }));
    expect((await reader.next()).value?.statuses).toEqual([status(ada, 1, { generation: 50 })]);
    leave.abort();
    await stop();
  });

  it("says that the host is away, keeps asking, and starts from what it says then", async () => {
    const { feed, say, streams, clock, stop } = await setup();
    await say(status(ada, 1));
    streams[0]?.destroy();
    await vi.waitFor(() => expect(feed.isHostReachable).toBe(false));
    expect(feed.latest(status(ada, 1).workspaceId)).toBeDefined();
    clock.advance(250);
    await vi.waitFor(() => expect(streams).toHaveLength(2));
    await vi.waitFor(() => expect(feed.isHostReachable).toBe(true));
    expect(feed.latest(status(ada, 1).workspaceId)).toBeUndefined();
    await stop();
  });

  it("takes silence for a dead stream", async () => {
    const { feed, streams, clock, stop } = await setup();
    await vi.waitFor(() => {
      expect(clock.pendingCount).toBe(1);
    });
    clock.advance(45_000);
    await vi.waitFor(() => expect(feed.isHostReachable).toBe(false));
    expect(streams).toHaveLength(1);
    await stop();
  });

  it("ends a wait with the state it waited for", async () => {
    const { feed, say, stop } = await setup();
    const target = { ownerId: ada, workspaceId: status(ada, 1).workspaceId };
    const found = feed.waitFor(target, ({ state }) => state === "running", new AbortController().signal);
    await say(status(ada, 1, { state: "creating" }));
    await say(status(ada, 1));
    expect((await found).state).toBe("running");
    await stop();
  });
});
