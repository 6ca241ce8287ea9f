import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { AtollError } from "@atoll/protocol/atoll-error";
import { call, openChannel } from "@atoll/protocol/call";
import { encodeFrame, FrameKind } from "@atoll/protocol/frame";
import { STREAM_WINDOW_BYTES, STREAMS_PER_SESSION } from "@atoll/protocol/limits";
import { corePing, coreQuiesce } from "@atoll/protocol/messages/core";
import { portsConnect } from "@atoll/protocol/messages/ports";
import { processRun } from "@atoll/protocol/messages/process";
import { PREVIEW_GRANT_SECONDS } from "@atoll/protocol/tickets";
import { pino } from "pino";
import { describe, expect, it } from "vitest";
import { FakeHost, OWNER } from "../testing/fake-host.ts";
import { LinkClient } from "../testing/link-client.ts";
import { TicketMaker, type TicketWishes } from "../testing/ticket-maker.ts";
import { ViewRegistry } from "../views/view-registry.ts";
import { HELLO_DEADLINE_MS } from "./link-connection.ts";
import { LinkSocketServer } from "./link-socket-server.ts";
import { TicketVerifier } from "./ticket-verifier.ts";

const AUTH_SESSION = "22222222-2222-4222-8222-222222222222";

async function start(previous?: FakeHost) {
  const host = await FakeHost.start(previous === undefined ? {} : { previous });
  const maker = new TicketMaker(host.clock);
  const views = new ViewRegistry({
    source: host.source,
    createOutbound: () => host.outbound,
    clock: host.clock,
    logger: pino({ level: "silent" }),
  });
  const server = new LinkSocketServer({
    workspaces: host.registry,
    sessions: host.sessions,
    views,
    tickets: await TicketVerifier.fromPem(maker.publicPem, host.clock),
    feed: host.feed,
    clock: host.clock,
    logger: pino({ level: "silent" }),
  });
  const path = join(host.directory, "link.sock");
  await server.listen(path);
  const clients: LinkClient[] = [];
  const connect = async () => {
    const client = await LinkClient.connect(path);
    clients.push(client);
    return client;
  };
  return {
    host,
    views,
    path,
    connect,
    session: async (wishes: TicketWishes & { tabId?: string; takeOver?: boolean }) => {
      const { tabId = randomUUID(), takeOver = false } = wishes;
      const client = await connect();
      return client.accepted({ type: "session", ticket: await maker.make(wishes), tabId, takeOver });
    },
    preview: async (
      workspaceId: string,
      { userId = OWNER, authSessionId = AUTH_SESSION, grantedAtMs = host.clock.now() } = {},
    ) => (await connect()).accepted({ type: "preview", workspaceId, userId, authSessionId, grantedAtMs }),
    async [Symbol.asyncDispose]() {
      for (const client of clients) await client[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
      await views[Symbol.asyncDispose]();
      await host[Symbol.asyncDispose]();
    },
  };
}

const cat = { argv: ["cat"], timeoutMs: 1000 };

describe("entry", () => {
  it("is a socket only its own user may open", async () => {
    await using link = await start();
    expect((await stat(link.path)).mode & 0o777).toBe(0o600);
  });

  it("accepts a session with the status, and relays its streams to the guest", async () => {
    await using link = await start();
    const workspace = await link.host.create();
    const client = await link.session({ workspaceId: workspace.id });
    expect(client.events[0]).toMatchObject({ type: "accepted", status: { state: "running" } });
    expect(workspace.status).toMatchObject({ sessionCount: 1 });
    expect(await call(client.mux, corePing, {})).toEqual({ uptimeMs: 1 });
    const channel = await openChannel(client.mux, processRun, cat);
    await channel.stream.write(Buffer.from("hello"));
    channel.stream.end();
    const items = [];
    for await (const item of channel.items()) items.push(item);
    expect(items.map(({ kind }) => kind)).toEqual(["data", "event"]);
    await client[Symbol.asyncDispose]();
    await expect.poll(() => workspace.status.sessionCount).toBe(0);
  });

  it("refuses streams before the hello", async () => {
    await using link = await start();
    const client = await link.connect();
    await expect(call(client.mux, corePing, {})).rejects.toMatchObject({ code: "auth.required" });
  });

  it.each([
    ["an unknown type", { type: "admin" }],
    ["a session without a ticket", { type: "session", tabId: randomUUID(), takeOver: false }],
    [
      "a ticket of 5000 characters",
      { type: "session", ticket: "x".repeat(5000), tabId: randomUUID(), takeOver: false },
    ],
    [
      "a workspace id with a path",
      { type: "preview", workspaceId: "../../x", userId: OWNER, authSessionId: AUTH_SESSION },
    ],
    ["null", null],
  ])("refuses a hello that is %s", async (_name, hello) => {
    await using link = await start();
    const client = await link.connect();
    client.mux.sendHello(hello);
    expect((await client.ended).code).toBe("request.invalid");
  });

  it.each([
    ["bytes that are no frame", Buffer.alloc(100, 0xff)],
    [
      "a hello that is not JSON",
      encodeFrame({ kind: FrameKind.hello, flags: 0, streamId: 0, payload: Buffer.from("{") }),
    ],
    [
      "data on the connection's own stream",
      encodeFrame({ kind: FrameKind.data, flags: 0, streamId: 0, payload: Buffer.from("x") }),
    ],
    [
      "a stream id of the other side",
      encodeFrame({ kind: FrameKind.open, flags: 0, streamId: 2, payload: Buffer.from("{}") }),
    ],
  ])("cuts a peer that sends %s, and goes on serving others", async (_name, bytes) => {
    await using link = await start();
    const client = await link.connect();
    client.socket.write(bytes);
    expect((await client.ended).code).toBe("link.protocol");
    const workspace = await link.host.create();
    await link.session({ workspaceId: workspace.id });
  });

  it("gives a silent peer five seconds", async () => {
    await using link = await start();
    const client = await link.connect();
    // Answered only once the connection is served, so the deadline has begun.
    expect(await client.mux.ping()).toBe(true);
    link.host.clock.advance(HELLO_DEADLINE_MS);
    expect((await client.ended).code).toBe("request.timeout");
  });

  it("says no in the same words to a workspace that is missing and to one of somebody else", async () => {
    await using link = await start();
    const workspace = await link.host.create();
    const other = randomUUID();
    await expect(link.session({ workspaceId: randomUUID() })).rejects.toMatchObject({
      code: "workspace.not_found",
    });
    await expect(link.session({ workspaceId: workspace.id, sub: other })).rejects.toMatchObject({
      code: "workspace.not_found",
    });
    await expect(link.preview(workspace.id, { userId: other })).rejects.toMatchObject({
      code: "workspace.not_found",
    });
    await link.host.registry.erase(workspace.id);
    await expect(link.session({ workspaceId: workspace.id })).rejects.toMatchObject({
      code: "workspace.deleted",
    });
  });
});

describe("streams", () => {
  it("are allowed by the message's declaration only", async () => {
    await using link = await start();
    const workspace = await link.host.create();
    const session = await link.session({ workspaceId: workspace.id });
    await expect(call(session.mux, coreQuiesce, {})).rejects.toMatchObject({ code: "auth.forbidden" });
    await expect(openChannel(session.mux, portsConnect, { port: 3000 })).rejects.toMatchObject({
      code: "auth.forbidden",
    });
    for (const name of ["core.nothing", "egress.connect", "__proto__", "constructor"]) {
      await expect(session.mux.open(name, {}).reply).rejects.toMatchObject({ code: "link.too_old" });
    }
    const preview = await link.preview(workspace.id);
    await expect(call(preview.mux, corePing, {})).rejects.toMatchObject({ code: "auth.forbidden" });
    const { stream } = await openChannel(preview.mux, portsConnect, { port: 3000 });
    stream.end();
  });

  it("of one session are limited", async () => {
    await using link = await start();
    const workspace = await link.host.create();
    const client = await link.session({ workspaceId: workspace.id });
    const open = await Promise.all(
      Array.from({ length: STREAMS_PER_SESSION }, () => openChannel(client.mux, processRun, cat)),
    );
    await expect(openChannel(client.mux, processRun, cat)).rejects.toMatchObject({
      code: "link.stream_limit",
    });
    open[0]?.stream.reset();
    await expect
      .poll(() =>
        openChannel(client.mux, processRun, cat).then(
          () => true,
          () => false,
        ),
      )
      .toBe(true);
  });

  it("that ignore the credit cost their own connection, not the guest's", async () => {
    await using link = await start();
    const workspace = await link.host.create();
    const { guest } = workspace;
    const client = await link.session({ workspaceId: workspace.id });
    const { stream } = await openChannel(client.mux, processRun, cat);
    const chunk = Buffer.alloc(16_384);
    for (let sent = 0; sent <= 3 * STREAM_WINDOW_BYTES; sent += chunk.length) {
      client.socket.write(
        encodeFrame({ kind: FrameKind.data, flags: 0, streamId: stream.streamId, payload: chunk }),
      );
    }
    expect((await client.ended).code).toBe("link.protocol");
    expect(workspace.guest).toBe(guest);
    expect(guest?.mux?.isClosed).toBe(false);
  });

  it("of a peer that reads nothing stop at the window", async () => {
    await using link = await start();
    const workspace = await link.host.create();
    const client = await link.session({ workspaceId: workspace.id });
    const { stream } = await openChannel(client.mux, processRun, cat);
    let isDone = false;
    const write = stream.write(Buffer.alloc(3 * STREAM_WINDOW_BYTES)).then(() => {
      isDone = true;
    });
    for (let round = 0; round < 20; round++) await client.mux.ping();
    expect(isDone).toBe(false);
    stream.reset();
    await expect(write).rejects.toMatchObject({ code: "stream.reset" });
  });

  it("end at a pause; the session stays and may wake the workspace", async () => {
    await using link = await start();
    const workspace = await link.host.create();
    const client = await link.session({ workspaceId: workspace.id });
    const { stream } = await openChannel(client.mux, processRun, cat);
    await workspace.pause("requested");
    await expect(stream.closed).resolves.toMatchObject({ code: "workspace.not_running" });
    await client.state("paused");
    await expect(call(client.mux, corePing, {})).rejects.toMatchObject({ code: "workspace.not_running" });
    client.events.length = 0;
    client.mux.sendConnectionEvent({ type: "wake" });
    await client.state("running");
    expect(await call(client.mux, corePing, {})).toEqual({ uptimeMs: 1 });
  });

  it("tell the session why a wake failed", async () => {
    await using link = await start();
    const workspace = await link.host.create();
    const client = await link.session({ workspaceId: workspace.id });
    await workspace.pause("requested");
    link.host.source.before = () => {
      throw new AtollError("key.unavailable");
    };
    client.mux.sendConnectionEvent({ type: "wake" });
    expect(await client.event(({ type }) => type === "notice")).toMatchObject({ code: "key.unavailable" });
  });

  it("an unknown command ends the session", async () => {
    await using link = await start();
    const workspace = await link.host.create();
    const client = await link.session({ workspaceId: workspace.id });
    client.mux.sendConnectionEvent({ type: "format" });
    expect((await client.ended).code).toBe("request.invalid");
  });
});

describe("plans", () => {
  it("refuse one tab too many, naming limit and plan", async () => {
    await using link = await start();
    const workspace = await link.host.create();
    const first = await link.session({ workspaceId: workspace.id });
    await expect(link.session({ workspaceId: workspace.id })).rejects.toMatchObject({
      code: "plan.session_limit",
      details: { limit: 1, planLabel: "Free" },
    });
    expect(first.socket.destroyed).toBe(false);
  });

  it("let a tab take the oldest one's place", async () => {
    await using link = await start();
    const workspace = await link.host.create();
    const wishes = { workspaceId: workspace.id, maxSessions: 2 };
    const oldest = await link.session(wishes);
    link.host.clock.advance(10);
    const younger = await link.session(wishes);
    link.host.clock.advance(10);
    await link.session({ ...wishes, takeOver: true });
    expect((await oldest.ended).code).toBe("session.taken_over");
    expect(younger.socket.destroyed).toBe(false);
    expect(workspace.status.sessionCount).toBe(2);
  });

  it("count a tab that reconnects once, and keep its age", async () => {
    await using link = await start();
    const workspace = await link.host.create();
    const wishes = { workspaceId: workspace.id, maxSessions: 2 };
    const tabId = randomUUID();
    const first = await link.session({ ...wishes, tabId });
    link.host.clock.advance(10);
    const younger = await link.session(wishes);
    link.host.clock.advance(10);
    const again = await link.session({ ...wishes, tabId });
    expect((await first.ended).code).toBe("link.lost");
    expect(workspace.status.sessionCount).toBe(2);
    await link.session({ ...wishes, takeOver: true });
    expect((await again.ended).code).toBe("session.taken_over");
    expect(younger.socket.destroyed).toBe(false);
  });
});

describe("revocation", () => {
  it("ends the sessions and previews of a sign-in, and refuses its tickets from then on", async () => {
    await using link = await start();
    const workspace = await link.host.create();
    const wishes = { workspaceId: workspace.id, maxSessions: 5 };
    const other = randomUUID();
    const kept = await link.session({ ...wishes, authSessionId: other });
    const ended = await link.session(wishes);
    const preview = await link.preview(workspace.id);
    expect(await link.host.sessions.revoke(OWNER, AUTH_SESSION)).toBe(2);
    expect((await ended.ended).code).toBe("session.revoked");
    expect((await preview.ended).code).toBe("session.revoked");
    expect(kept.socket.destroyed).toBe(false);
    await expect(link.session(wishes)).rejects.toMatchObject({ code: "session.revoked" });
    await expect(link.preview(workspace.id)).rejects.toMatchObject({ code: "session.revoked" });
  });

  it("of a user refuses tickets signed before it, not after", async () => {
    await using link = await start();
    const workspace = await link.host.create();
    await link.host.sessions.revoke(OWNER, undefined);
    await expect(link.session({ workspaceId: workspace.id })).rejects.toMatchObject({
      code: "session.revoked",
    });
    link.host.clock.advance(2000);
    await link.session({ workspaceId: workspace.id });
  });

  it("refuses a sign-in's previews for as long as their grants may live, also after others and a restart", async () => {
    await using link = await start();
    const { id } = await link.host.create();
    const grantedAtMs = link.host.clock.now();
    await link.host.sessions.revoke(OWNER, AUTH_SESSION);
    link.host.clock.advance(180_000);
    await link.host.sessions.revoke(OWNER, randomUUID());
    await expect(link.preview(id, { grantedAtMs })).rejects.toMatchObject({ code: "session.revoked" });
    await using later = await start(link.host);
    later.host.clock.advance((PREVIEW_GRANT_SECONDS - 300) * 1000);
    await later.host.sessions.revoke(OWNER, randomUUID());
    await expect(later.preview(id, { grantedAtMs })).rejects.toMatchObject({ code: "session.revoked" });
    await later.preview(id, { authSessionId: randomUUID(), grantedAtMs });
  });

  it("of a user refuses the previews of all sign-ins before it, not of those after", async () => {
    await using link = await start();
    const { id } = await link.host.create();
    const grantedAtMs = link.host.clock.now();
    const open = await link.preview(id, { authSessionId: randomUUID() });
    link.host.clock.advance(1000);
    await link.host.sessions.revoke(OWNER, undefined);
    expect((await open.ended).code).toBe("session.revoked");
    link.host.clock.advance(300_000);
    const early = link.preview(id, { authSessionId: randomUUID(), grantedAtMs });
    await expect(early).rejects.toMatchObject({ code: "session.revoked" });
    await link.preview(id, { authSessionId: randomUUID() });
  });

  it("cuts a peer that reads nothing, too", async () => {
    await using link = await start();
    const workspace = await link.host.create();
    const client = await link.session({ workspaceId: workspace.id });
    client.socket.pause();
    const closed = once(client.socket, "close");
    await link.host.sessions.revoke(OWNER, undefined);
    client.socket.resume();
    await closed;
    expect(workspace.status.sessionCount).toBe(0);
  });

  it("comes with an erasure", async () => {
    await using link = await start();
    const workspace = await link.host.create();
    const client = await link.session({ workspaceId: workspace.id });
    await link.host.registry.erase(workspace.id);
    expect((await client.ended).code).toBe("workspace.deleted");
  });
});

describe("waking", () => {
  it("a session's wish resumes a paused workspace, and it sees each step", async () => {
    await using link = await start();
    const workspace = await link.host.create();
    await workspace.pause("idle");
    const client = await link.session({ workspaceId: workspace.id });
    expect(client.events[0]).toMatchObject({ type: "accepted", status: { state: "paused", reason: "idle" } });
    client.mux.sendConnectionEvent({ type: "wake" });
    await client.state("running");
    expect(workspace.status).toMatchObject({ reason: "session_opened", startedBy: "resume" });
    const stages = client.events.flatMap((event) =>
      "status" in event && event.status.stage ? [event.status.stage.name] : [],
    );
    expect([...new Set(stages)]).toEqual(["reserve", "restore", "identity", "ready"]);
  });

  it.each(["idle", "requested"] as const)(
    "a tab that only reconnects leaves it paused (%s)",
    async (reason) => {
      await using link = await start();
      const workspace = await link.host.create();
      await workspace.pause(reason);
      const client = await link.session({ workspaceId: workspace.id });
      await client.mux.ping();
      expect(workspace.status.state).toBe("paused");
    },
  );

  it("a tab that reconnects brings back what a shutdown of the host paused", async () => {
    await using link = await start();
    const workspace = await link.host.create();
    await workspace.pause("host_shutdown");
    const client = await link.session({ workspaceId: workspace.id });
    await client.state("running");
  });

  it("a session does not start what was stopped on purpose", async () => {
    await using link = await start();
    const workspace = await link.host.create();
    await workspace.stop("requested");
    const client = await link.session({ workspaceId: workspace.id });
    await client.mux.ping();
    expect(workspace.status.state).toBe("stopped");
  });

  it("a preview request resumes a paused workspace and waits for it", async () => {
    await using link = await start();
    const workspace = await link.host.create();
    const preview = await link.preview(workspace.id);
    await workspace.pause("idle");
    const { stream } = await openChannel(preview.mux, portsConnect, { port: 3000 });
    expect(workspace.status).toMatchObject({ state: "running", startedBy: "resume" });
    await stream.write(Buffer.from("GET /"));
    stream.end();
    const echoed = [];
    for await (const item of stream) echoed.push(item.kind);
    expect(echoed).toEqual(["data"]);
  });

  it("a preview of a stopped workspace is refused", async () => {
    await using link = await start();
    const workspace = await link.host.create();
    const preview = await link.preview(workspace.id);
    await workspace.stop("requested");
    await expect(openChannel(preview.mux, portsConnect, { port: 3000 })).rejects.toMatchObject({
      code: "workspace.not_running",
    });
  });
});

it("says to its owner, and to nobody else, that a workspace's record cannot be read", async () => {
  await using before = await start();
  const { id, record } = await before.host.create();
  const path = join(before.host.directory, "journal/workspaces", `${id}.json`);
  await writeFile(path, JSON.stringify({ ...record, format: 3 }));
  await using link = await start(before.host);
  await expect(link.session({ workspaceId: id })).rejects.toMatchObject({ code: "workspace.record_damaged" });
  await expect(link.session({ workspaceId: id, sub: randomUUID() })).rejects.toMatchObject({
    code: "workspace.not_found",
  });
});

describe("what counts as use", () => {
  /** A running workspace some while after anything happened, with one tab open. */
  async function quiet() {
    const link = await start();
    const workspace = await link.host.create();
    const tabId = randomUUID();
    const client = await link.session({ workspaceId: workspace.id, tabId });
    link.host.clock.advance(20_000);
    expect(workspace.status.awakeBecause).toBeUndefined();
    const kinds = () => workspace.status.awakeBecause?.map(({ kind, detail }) => `${kind} ${detail}`);
    return { ...link, workspace, client, tabId, kinds, [Symbol.asyncDispose]: link[Symbol.asyncDispose] };
  }

  it("is opening a tab, and not the tab being open or connecting again", async () => {
    await using one = await quiet();
    await one.session({ workspaceId: one.workspace.id, tabId: one.tabId });
    expect(one.kinds()).toBeUndefined();
    await one.session({ workspaceId: one.workspace.id, maxSessions: 2 });
    expect(one.kinds()).toEqual(["input workbench"]);
  });

  it("is no ping, listing or watch", async () => {
    await using one = await quiet();
    await one.client.mux.ping();
    await call(one.client.mux, corePing, {});
    for (const name of ["files.list", "files.read", "files.watch", "terminal.attach", "terminal.watch"]) {
      const stream = one.client.mux.open(name, {});
      await stream.reply.catch(() => {});
    }
    expect(one.kinds()).toBeUndefined();
  });

  it("is running a program and its input, of a terminal what is typed", async () => {
    await using one = await quiet();
    const channel = await openChannel(one.client.mux, processRun, cat);
    expect(one.kinds()).toEqual(["input program"]);
    one.host.clock.advance(20_000);
    expect(one.kinds()).toBeUndefined();
    await channel.stream.write(Buffer.from("hello"));
    await expect.poll(one.kinds).toEqual(["input program"]);
    channel.stream.reset();
  });

  it("is a key typed while the guest is being stopped: it runs on, and the key arrives", async () => {
    await using one = await quiet();
    const { host, workspace } = one;
    const { stream } = await openChannel(one.client.mux, processRun, cat);
    const echoed = Promise.withResolvers<unknown>();
    host.source.machine.guest.quiesce = async () => {
      await stream.write(Buffer.from("k"));
      echoed.resolve((await stream[Symbol.asyncIterator]().next()).value);
      return { frozen: true };
    };
    const bytes = new Uint8Array(Buffer.from("k"));
    expect(await host.drive(echoed.promise)).toMatchObject({ kind: "data", bytes });
    const states = () => host.statuses.map(({ state }) => state);
    await expect.poll(() => states().slice(states().indexOf("pausing"))).toContain("running");
    expect(workspace.status.errorCode).toBeUndefined();
    expect(states()).not.toContain("paused");
    expect(host.source.machine.isRunning).toBe(true);
    expect(host.source.machine.guest.isFrozen).toBe(false);
    stream.reset();
  });

  it("is what the tab reports of its keys and pointer", async () => {
    await using one = await quiet();
    one.client.mux.sendConnectionEvent({ type: "active" });
    await expect.poll(one.kinds).toEqual(["input workbench"]);
  });

  it("is a request of a preview, and no heartbeat of an open page", async () => {
    await using one = await quiet();
    const preview = await one.preview(one.workspace.id);
    expect(one.kinds()).toBeUndefined();
    const { stream } = await openChannel(preview.mux, portsConnect, { port: 3000 });
    expect(one.kinds()).toEqual(["preview port 3000"]);
    one.host.clock.advance(20_000);
    await stream.write(Buffer.alloc(40));
    await preview.mux.ping();
    expect(one.kinds()).toBeUndefined();
    await stream.write(Buffer.alloc(400));
    await expect.poll(one.kinds).toEqual(["preview port 3000"]);
    stream.reset();
  });

  // Leases are bounded by the plan, which only the control plane knows.
  it.each([{ type: "keep_awake", seconds: 60 }, { type: "pause" }, 7])(
    "the command %j ends the session",
    async (command) => {
      await using one = await quiet();
      one.client.mux.sendConnectionEvent(command);
      expect((await one.client.ended).code).toBe("request.invalid");
    },
  );
});
