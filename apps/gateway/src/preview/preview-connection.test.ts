import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManualClock } from "@atoll/base/manual-clock";
import { Scope } from "@atoll/base/scope";
import { PREVIEW_GRANT_SECONDS } from "@atoll/protocol/tickets";
import { expect, test, vi } from "vitest";
import { HostdStandIn } from "../testing/hostd-stand-in.ts";
import { PreviewConnections } from "./preview-connections.ts";
import { HOSTD_IDLE_MS, WAKE_HOLD_MS } from "./preview-limits.ts";

const grant = (userId = randomUUID()) => ({
  workspaceId: randomUUID(),
  userId,
  authSessionId: randomUUID(),
  slug: "blue-reef",
  port: 3000,
  exp: 4e9,
});

async function connections() {
  const directory = await mkdtemp(join(tmpdir(), "atoll-preview-"));
  const hostd = await HostdStandIn.listen(join(directory, "link.sock"));
  const scope = new Scope();
  const clock = new ManualClock();
  const pool = new PreviewConnections({ linkSocketPath: hostd.path, clock, scope });
  return {
    hostd,
    clock,
    pool,
    async [Symbol.asyncDispose]() {
      await scope.close();
      await hostd[Symbol.asyncDispose]();
      await rm(directory, { recursive: true });
    },
  };
}

const visit = { canWake: true, signal: new AbortController().signal };

test("one connection for a sign-in, another for every other", async () => {
  await using fixture = await connections();
  const mine = grant();
  const viewers = await Promise.all([fixture.pool.borrow(mine), fixture.pool.borrow(mine)]);
  expect(viewers[0]).toBe(viewers[1]);
  await fixture.pool.borrow({ ...mine, authSessionId: randomUUID() });
  await fixture.pool.borrow(grant());
  await vi.waitFor(() => expect(fixture.hostd.connections).toHaveLength(3));
  expect(fixture.hostd.connections[0]?.hello).toEqual({
    type: "preview",
    workspaceId: mine.workspaceId,
    userId: mine.userId,
    authSessionId: mine.authSessionId,
    grantedAtMs: (mine.exp - PREVIEW_GRANT_SECONDS) * 1000,
  });
});

test("closes when nothing uses it for a while, and is made anew", async () => {
  await using fixture = await connections();
  const mine = grant();
  const { connection } = await fixture.pool.borrow(mine);
  const letGo = connection.hold();
  fixture.clock.advance(10 * HOSTD_IDLE_MS);
  expect(connection.isOver).toBe(false);
  letGo();
  letGo();
  fixture.clock.advance(HOSTD_IDLE_MS - 1);
  expect(connection.isOver).toBe(false);
  fixture.clock.advance(1);
  expect([connection.isOver, fixture.pool.size]).toEqual([true, 0]);
  await vi.waitFor(() => expect(fixture.hostd.openCount).toBe(0));
  expect((await fixture.pool.borrow(mine)).connection).not.toBe(connection);
});

test("a workspace that wakes too slowly is said to be not running, and the waiting page takes over", async () => {
  await using fixture = await connections();
  fixture.hostd.state = "paused";
  fixture.hostd.wake = () => new Promise(() => {});
  const { connection } = await fixture.pool.borrow(grant());
  await connection.admitted(visit);
  const opening = connection.openPort(3000);
  await vi.waitFor(() => expect(fixture.hostd.dialled).toEqual([3000]));
  fixture.clock.advance(WAKE_HOLD_MS);
  await expect(opening).rejects.toMatchObject({ code: "workspace.not_running" });
});

test("a hostd that never answers is unreachable", async () => {
  await using fixture = await connections();
  const { connection } = await fixture.pool.borrow(grant());
  connection.hold();
  await vi.waitFor(() => expect(fixture.hostd.connections).toHaveLength(1));
  const silent = connection.admitted({ ...visit, signal: AbortSignal.abort(new Error("left")) });
  await expect(silent).rejects.toThrow("left");
});
