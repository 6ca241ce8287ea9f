import { randomUUID } from "node:crypto";
import { request as httpRequest } from "node:http";
import { ManualClock } from "@atoll/base/manual-clock";
import { AtollError } from "@atoll/protocol/atoll-error";
import { GATEWAY_PATH } from "@atoll/protocol/gateway-events";
import { SOCKET_MESSAGE_MAX_BYTES } from "@atoll/protocol/limits";
import { describe, expect, test, vi } from "vitest";
import { BrowserTab } from "../testing/browser-tab.ts";
import { type TestGateway, testGateway, WEB_ORIGIN } from "../testing/test-gateway.ts";
import { HOSTD_STALL_MS } from "./session-limits.ts";

async function openTab(fixture: TestGateway, claims: { sub?: string } = {}): Promise<BrowserTab> {
  const ticket = await fixture.office.session(claims);
  const tab = new BrowserTab({ port: fixture.gateway.gatewayPort, auth: { ticket } });
  await tab.connected();
  return tab;
}

function tabWith(fixture: TestGateway, auth: Record<string, unknown>): BrowserTab {
  return new BrowserTab({ port: fixture.gateway.gatewayPort, auth });
}

/** How a WebSocket handshake with these headers ends: "open", or the words of its refusal. */
function handshake(port: number, headers: Record<string, string | string[]>): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({
      port,
      host: "127.0.0.1",
      path: `${GATEWAY_PATH}/?EIO=4&transport=websocket`,
      headers: {
        host: `localhost:${port}`,
        connection: "Upgrade",
        upgrade: "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": Buffer.from(randomUUID().slice(0, 16)).toString("base64"),
        ...headers,
      },
    });
    request.on("upgrade", (_response, socket) => {
      socket.destroy();
      resolve("open");
    });
    request.on("response", (response) => {
      response.setEncoding("utf8");
      response.once("data", (body: string) => resolve(`${response.statusCode} ${body}`));
    });
    request.on("error", reject);
    request.end();
  });
}

describe("who may connect", () => {
  test("only the application's exact origin at an exact host", async () => {
    await using fixture = await testGateway();
    const port = fixture.gateway.gatewayPort;
    expect(await handshake(port, { origin: WEB_ORIGIN })).toBe("open");
    const origins = [
      undefined,
      "null",
      "",
      "http://localhost",
      "http://localhost:30000",
      "http://localhost:3000.evil.example",
      "http://evil-localhost:3000",
      "http://evil.localhost:3000",
      "https://localhost:3000",
      "http://127.0.0.1:3000",
      "HTTP://LOCALHOST:3000",
      "http://localhost:3000/",
      "http://user@localhost:3000",
      `${WEB_ORIGIN} http://evil.example`,
    ];
    for (const origin of origins) {
      const answer = await handshake(port, origin === undefined ? {} : { origin });
      expect([origin, answer]).toEqual([origin, "400 origin.refused"]);
    }
    const hosts = [
      `127.0.0.1:${port}`,
      `LOCALHOST:${port}`,
      `localhost.:${port}`,
      `evil.example:${port}`,
      "localhost",
      `3000-blue-reef.preview.localhost:${port}`,
    ];
    for (const host of hosts) {
      const answer = await handshake(port, { host, origin: WEB_ORIGIN });
      expect([host, answer]).toEqual([host, "400 host.refused"]);
    }
    expect(fixture.hostd.acceptedCount).toBe(0);
  });

  test("polling is off", async () => {
    await using fixture = await testGateway();
    const port = fixture.gateway.gatewayPort;
    const answer = await fetch(`http://localhost:${port}${GATEWAY_PATH}/?EIO=4&transport=polling`, {
      headers: { origin: WEB_ORIGIN },
    });
    expect(answer.status).toBe(400);
  });

  test("a ticket that is not good for a session never reaches hostd", async () => {
    await using fixture = await testGateway();
    const { office } = fixture;
    const foreign = await testGateway();
    await using _other = foreign;
    const [header, , signature] = (await office.session()).split(".");
    const claims = Buffer.from(JSON.stringify({ sub: randomUUID() })).toString("base64url");
    const none = Buffer.from('{"alg":"none"}').toString("base64url");
    const cases: Array<[string, unknown]> = [
      ["ticket.expired", await office.session({}, { lifetimeSeconds: -1 })],
      ["ticket.invalid", await office.session({}, { lifetimeSeconds: 3600 })],
      ["ticket.invalid", await office.session({}, { audience: "atoll-preview" })],
      ["ticket.invalid", await office.session({}, { issuer: "someone" })],
      ["ticket.invalid", await office.preview()],
      ["ticket.invalid", await foreign.office.session()],
      ["ticket.invalid", await office.session({ sub: "../../x" })],
      ["ticket.invalid", `${header}.${claims}.${signature}`],
      ["ticket.invalid", `${none}.${claims}.`],
      ["ticket.invalid", "x"],
      ["request.invalid", ""],
      ["request.invalid", "x".repeat(4097)],
      ["request.invalid", null],
      ["request.invalid", { $ne: "" }],
    ];
    for (const [code, ticket] of cases) {
      using tab = tabWith(fixture, { ticket });
      await expect(tab.connected()).rejects.toEqual({ code });
    }
    expect(fixture.hostd.acceptedCount).toBe(0);
  });

  test("hostd gets the ticket, the tab and the wish to take over", async () => {
    await using fixture = await testGateway();
    const ticket = await fixture.office.session();
    const tabId = randomUUID();
    using tab = tabWith(fixture, { ticket, tabId, takeOver: true });
    await tab.connected();
    await vi.waitFor(() => expect(tab.messages).toMatchObject([{ type: "accepted" }]));
    expect(fixture.hostd.connections[0]?.hello).toEqual({ type: "session", ticket, tabId, takeOver: true });
  });

  test("one user's sockets are bounded, and closing one makes room", async () => {
    await using fixture = await testGateway({ socketLimits: { total: 3, perUser: 2 } });
    const sub = randomUUID();
    using first = await openTab(fixture, { sub });
    using _second = await openTab(fixture, { sub });
    await expect(openTab(fixture, { sub })).rejects.toEqual({
      code: "request.rate_limited",
      details: { limit: 2 },
    });
    using _third = await openTab(fixture);
    await expect(openTab(fixture)).rejects.toEqual({ code: "host.full" });
    first.socket.disconnect();
    await vi.waitFor(async () => {
      using again = await openTab(fixture, { sub });
      expect(again.socket.connected).toBe(true);
    });
  });

  test("hostd down is told with a code", async () => {
    await using fixture = await testGateway();
    await fixture.hostd[Symbol.asyncDispose]();
    await expect(openTab(fixture)).rejects.toEqual({ code: "host.unreachable" });
  });
});

describe("bytes", () => {
  test("pass both ways untouched, whatever their size", async () => {
    await using fixture = await testGateway();
    using tab = await openTab(fixture);
    const stream = tab.mux.open("echo", {});
    await stream.reply;
    const sent = Buffer.alloc(3 * 1024 * 1024, 0);
    for (let at = 0; at < sent.length; at += 1) sent[at] = (at * 31) & 0xff;
    void stream.write(sent).then(() => stream.end());
    const parts: Uint8Array[] = [];
    for await (const item of stream) if (item.kind === "data") parts.push(item.bytes);
    expect(Buffer.concat(parts).equals(sent)).toBe(true);
  });

  test("hostd's refusal reaches the browser before its socket closes", async () => {
    await using fixture = await testGateway();
    fixture.hostd.refusal = new AtollError("plan.session_limit", undefined, { details: { limit: 1 } });
    const ticket = await fixture.office.session();
    using tab = tabWith(fixture, { ticket });
    await tab.disconnected();
    expect(tab.fatal?.toWire()).toEqual({ code: "plan.session_limit", details: { limit: 1 } });
  });

  test("a lost hostd looks like a lost transport, so the browser reconnects", async () => {
    await using fixture = await testGateway();
    using tab = await openTab(fixture);
    const gone = tab.disconnected();
    await vi.waitFor(() => expect(fixture.hostd.connections).toHaveLength(1));
    fixture.hostd.connections[0]?.socket.destroy();
    expect(await gone).toBe("transport close");
    expect(tab.refusals).toEqual([]);
  });

  test("a closed tab closes its connection to hostd, after what it sent", async () => {
    await using fixture = await testGateway();
    const names: string[] = [];
    fixture.hostd.onSessionOpen = (open) => void names.push(open.name);
    using tab = await openTab(fixture);
    for (let at = 0; at < 50; at += 1) tab.mux.open(`stream-${at}`, { filler: "x".repeat(1000) });
    tab.socket.disconnect();
    await vi.waitFor(() => expect(fixture.hostd.openCount).toBe(0));
    expect(names).toHaveLength(50);
  });
});

describe("hostile clients", () => {
  test("an unknown event ends that socket with a code", async () => {
    await using fixture = await testGateway();
    for (const name of ["error", "terminal", "__proto__", "constructor", "refused"]) {
      using tab = await openTab(fixture);
      const gone = tab.disconnected();
      tab.socket.emit(name, 1);
      await gone;
      expect([name, tab.refusals]).toEqual([name, [{ code: "request.invalid" }]]);
    }
  });

  test("a bytes event without bytes ends that socket with a code", async () => {
    await using fixture = await testGateway();
    using tab = await openTab(fixture);
    const gone = tab.disconnected();
    // A text packet, as the default parser would make it.
    (tab.socket.io.engine as unknown as { write(text: string): void }).write('2["bytes","text"]');
    await gone;
    expect(tab.refusals).toEqual([{ code: "request.invalid" }]);
  });

  test.each([
    '51-["bytes",{"_placeholder":true,"num":0}]',
    '2["disconnecting"]',
    "29007199254740993[]",
    "2{",
    "9",
    "",
    '0{"ticket":"x"}',
    "0/admin,",
    "2222222222",
  ])("the packet %j ends at most its own socket", async (packet) => {
    await using fixture = await testGateway();
    using bystander = await openTab(fixture);
    using tab = await openTab(fixture);
    const gone = tab.disconnected();
    (tab.socket.io.engine as unknown as { write(text: string): void }).write(packet);
    tab.socket.io.engine.write(Buffer.from([255, 255, 0, 0, 0, 0, 0, 0]) as never);
    await Promise.race([gone, new Promise((resolve) => setImmediate(resolve))]);
    const stream = bystander.mux.open("echo", {});
    expect(await stream.reply).toEqual({});
  });

  test("a message over the limit ends its socket, one at the limit does not", async () => {
    await using fixture = await testGateway();
    using tab = await openTab(fixture);
    const { socket } = fixture.hostd.connections[0] ?? (await firstConnection(fixture));
    const whole = Buffer.alloc(SOCKET_MESSAGE_MAX_BYTES);
    // Late frames of a forgotten stream, which the far end drops, fill it to the last byte.
    for (let at = 0; at < whole.length; at += 65_536) whole.set([4, 0, 0xff, 0xf8, 0, 0, 0, 99], at);
    const before = socket.bytesRead;
    tab.socket.emit("bytes", whole);
    await vi.waitFor(() => expect(socket.bytesRead).toBeGreaterThanOrEqual(before + whole.length));
    using other = await openTab(fixture);
    const gone = other.disconnected();
    other.socket.emit("bytes", Buffer.alloc(SOCKET_MESSAGE_MAX_BYTES + 1));
    expect(await gone).toBe("transport close");
  });

  test("a client that never reads costs a bounded amount while hostd sends 100 MB", async () => {
    await using fixture = await testGateway();
    using tab = await openTab(fixture);
    const { socket: hostd } = fixture.hostd.connections[0] ?? (await firstConnection(fixture));
    const webSocket = (tab.socket.io.engine.transport as unknown as { ws: { _socket: { pause(): void } } })
      .ws;
    webSocket._socket.pause();
    const total = 100 * 1024 * 1024;
    const chunk = Buffer.alloc(64 * 1024, 7);
    for (let sent = 0; sent < total; sent += chunk.length) hostd.write(chunk);
    // Everything the kernel and the gateway will ever take is taken when the count stands still.
    let taken = -1;
    await vi.waitFor(
      () => {
        const now = hostd.bytesWritten - hostd.writableLength;
        const isStill = now === taken;
        taken = now;
        expect(isStill).toBe(true);
      },
      { interval: 100, timeout: 10_000 },
    );
    expect(taken).toBeLessThan(12 * 1024 * 1024);
    using bystander = await openTab(fixture);
    expect(await bystander.mux.open("echo", {}).reply).toEqual({});
    hostd.destroy();
  });

  test("a hostd that never reads stops the browser, not the gateway's memory", async () => {
    await using fixture = await testGateway();
    using tab = await openTab(fixture);
    const { socket: hostd } = fixture.hostd.connections[0] ?? (await firstConnection(fixture));
    hostd.pause();
    const chunk = Buffer.alloc(256 * 1024, 7);
    for (let at = 0; at < 256; at += 1) tab.socket.emit("bytes", chunk);
    const raw = (tab.socket.io.engine.transport as unknown as { ws: { bufferedAmount: number } }).ws;
    let left = -1;
    await vi.waitFor(
      () => {
        const isStill = raw.bufferedAmount === left;
        left = raw.bufferedAmount;
        expect(isStill).toBe(true);
      },
      { interval: 100, timeout: 10_000 },
    );
    expect(left).toBeGreaterThan(48 * 1024 * 1024);
    hostd.destroy();
  });

  test("a hostd that takes nothing for too long is told to the browser", async () => {
    const clock = new ManualClock(Date.now());
    await using fixture = await testGateway({ clock });
    using tab = await openTab(fixture);
    const { socket: hostd } = fixture.hostd.connections[0] ?? (await firstConnection(fixture));
    hostd.pause();
    const pendingBefore = clock.pendingCount;
    for (let at = 0; at < 64; at += 1) tab.socket.emit("bytes", Buffer.alloc(SOCKET_MESSAGE_MAX_BYTES, 4));
    await vi.waitFor(() => expect(clock.pendingCount).toBeGreaterThan(pendingBefore));
    const gone = tab.disconnected();
    clock.advance(2 * HOSTD_STALL_MS);
    await gone;
    expect(tab.refusals).toEqual([{ code: "host.unreachable" }]);
    // What could not be written is given up as well.
    clock.advance(HOSTD_STALL_MS);
    hostd.resume();
    await vi.waitFor(() => expect(fixture.hostd.openCount).toBe(0));
  });

  test("a hundred thousand tiny messages are taken at the allowed rate, and nobody else waits", async () => {
    await using fixture = await testGateway();
    using tab = await openTab(fixture);
    const { socket: hostd } = fixture.hostd.connections[0] ?? (await firstConnection(fixture));
    const before = hostd.bytesRead;
    // Frames of a stream that does not exist: late ones, which the far end drops.
    const tiny = Buffer.from([4, 0, 0, 0, 0, 0, 0, 99]);
    for (let at = 0; at < 100_000; at += 1) tab.socket.emit("bytes", tiny);
    using bystander = await openTab(fixture);
    expect(await bystander.mux.open("echo", {}).reply).toEqual({});
    expect((hostd.bytesRead - before) / tiny.length).toBeLessThan(90_000);
    expect(tab.socket.connected).toBe(true);
  });
});

async function firstConnection(fixture: TestGateway) {
  return vi.waitFor(() => {
    const [connection] = fixture.hostd.connections;
    if (connection === undefined) throw new Error("not yet");
    return connection;
  });
}
