import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { AtollError } from "@atoll/protocol/atoll-error";
import { call } from "@atoll/protocol/call";
import { corePing, coreQuiesce } from "@atoll/protocol/messages/core";
import { viewMount } from "@atoll/protocol/messages/views";
import { pino } from "pino";
import { expect, it } from "vitest";
import { FakeHost, OWNER } from "../testing/fake-host.ts";
import { LinkClient } from "../testing/link-client.ts";
import { TicketMaker, type TicketWishes } from "../testing/ticket-maker.ts";
import { ViewRegistry } from "../views/view-registry.ts";
import { LinkSocketServer } from "./link-socket-server.ts";
import { TicketVerifier } from "./ticket-verifier.ts";

type Mounted = { isRepaired: boolean };

async function start(mount: () => Mounted | Promise<Mounted> = () => ({ isRepaired: false })) {
  const host = await FakeHost.start();
  host.source.onMachine = ({ guest }) => guest.dispatcher.onRequest(viewMount, mount);
  const maker = new TicketMaker(host.clock);
  const logger = pino({ level: "silent" });
  const views = new ViewRegistry({
    source: host.source,
    createOutbound: () => host.outbound,
    clock: host.clock,
    logger,
  });
  const server = new LinkSocketServer({
    workspaces: host.registry,
    sessions: host.sessions,
    views,
    tickets: await TicketVerifier.fromPem(maker.publicPem, host.clock),
    feed: host.feed,
    clock: host.clock,
    logger,
  });
  const path = join(host.directory, "link.sock");
  await server.listen(path);
  const clients: LinkClient[] = [];
  const workspace = await host.create();
  const checkpointId = randomUUID();
  await workspace.checkpoint(checkpointId, { name: "one", withMemory: false });
  return {
    host,
    views,
    workspace,
    checkpointId,
    look: async (wishes: Partial<TicketWishes> = {}) => {
      const client = await LinkClient.connect(path);
      clients.push(client);
      const ticket = await maker.make({ workspaceId: workspace.id, view: { checkpointId }, ...wishes });
      return client.accepted({ type: "session", ticket, tabId: randomUUID(), takeOver: false });
    },
    async [Symbol.asyncDispose]() {
      for (const client of clients) await client[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
      await views[Symbol.asyncDispose]();
      await host[Symbol.asyncDispose]();
    },
  };
}

it("a view's session reaches the view's guest and leaves the workspace alone", async () => {
  await using one = await start(() => ({ isRepaired: true }));
  await one.workspace.pause("idle");
  const { generation } = one.workspace.status;
  const client = await one.look();
  expect(client.events[0]).toMatchObject({ type: "accepted", status: { state: "paused", ownerId: OWNER } });
  await client.mux.ping();
  expect(client.events).toContainEqual({ type: "notice", code: "view.repaired" });
  expect(await call(client.mux, corePing, {})).toEqual({ uptimeMs: 1 });
  await expect(call(client.mux, coreQuiesce, {})).rejects.toMatchObject({ code: "auth.forbidden" });
  for (const command of [{ type: "wake" }, { type: "active" }]) {
    client.mux.sendConnectionEvent(command);
  }
  await client.mux.ping();
  expect(one.workspace.status).toMatchObject({ state: "paused", sessionCount: 0, generation });
  expect(one.workspace.status.awakeBecause).toBeUndefined();
  expect(one.host.sessions.sessionCount(one.workspace.id)).toBe(0);
});

it("several tabs share it beyond the plan's number of sessions, and it ends after the last", async () => {
  await using one = await start();
  const tabs = [await one.look({ maxSessions: 1 }), await one.look({ maxSessions: 1 })];
  expect(one.views.viewCount).toBe(1);
  for (const tab of tabs) await tab[Symbol.asyncDispose]();
  await expect.poll(() => one.host.clock.pendingCount).toBeGreaterThan(0);
  await expect
    .poll(() => {
      one.host.clock.advance(60_000);
      return one.views.viewCount;
    })
    .toBe(0);
});

it("is accepted when its files are there, however long that takes, and takes no streams before", async () => {
  const mounted = Promise.withResolvers<{ isRepaired: boolean }>();
  await using one = await start(() => mounted.promise);
  const looking = one.look();
  await expect.poll(() => one.views.viewCount).toBe(1);
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  one.host.clock.advance(10_000);
  mounted.resolve({ isRepaired: false });
  const client = await looking;
  expect(await call(client.mux, corePing, {})).toEqual({ uptimeMs: 1 });
});

it("somebody else's workspace has none, and neither has a running one of its own disk", async () => {
  await using one = await start();
  await expect(one.look({ sub: randomUUID() })).rejects.toMatchObject({ code: "workspace.not_found" });
  const ofItsDisk = one.look({ view: { checkpointId: null } });
  await expect(ofItsDisk).rejects.toMatchObject({ code: "view.unavailable" });
  const unknown = one.look({ view: { checkpointId: randomUUID() } });
  await expect(unknown).rejects.toMatchObject({ code: "checkpoint.not_found" });
});

it("signing out and erasing end it", async () => {
  await using one = await start();
  const first = await one.look();
  await one.host.sessions.revoke(OWNER, "22222222-2222-4222-8222-222222222222");
  expect((await first.ended).code).toBe("session.revoked");
  await expect(one.look()).rejects.toMatchObject({ code: "session.revoked" });
  one.host.clock.advance(200_000);
  const second = await one.look({ authSessionId: randomUUID() });
  await one.views.endWorkspace(one.workspace.id, new AtollError("workspace.deleted"));
  expect((await second.ended).code).toBe("workspace.deleted");
});
