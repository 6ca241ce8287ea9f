import { createHash, randomUUID } from "node:crypto";
import { once } from "node:events";
import { connect, createServer as createTcpServer } from "node:net";
import { AtollError } from "@atoll/protocol/atoll-error";
import { PREVIEW_ENTER_PATH } from "@atoll/protocol/tickets";
import { describe, expect, test, vi } from "vitest";
import { guestServer } from "../testing/guest-server.ts";
import { PreviewVisitor } from "../testing/preview-visitor.ts";
import { testGateway, WEB_ORIGIN } from "../testing/test-gateway.ts";

const codeOf = (body: string) => (JSON.parse(body) as { error: { code: string } }).error.code;

describe("who gets in", () => {
  test("nobody without a cookie, and nothing reaches hostd", async () => {
    await using fixture = await testGateway();
    const visitor = new PreviewVisitor(fixture, 3000);
    for (let at = 0; at < 50; at += 1) {
      const answer = await visitor.get(`/page-${at}`);
      expect([answer.status, codeOf(answer.body)]).toEqual([401, "preview.not_open"]);
      expect((await visitor.upgrade("/ws")).status).toBe(401);
    }
    expect(fixture.hostd.acceptedCount).toBe(0);
  });

  test("a ticket opens its host once, with host-only cookies", async () => {
    await using fixture = await testGateway();
    const visitor = new PreviewVisitor(fixture, 3000);
    const ticket = await fixture.office.preview({ port: 3000 });
    const answer = await visitor.show(ticket, "/start?x=1#y");
    expect([answer.status, answer.headers.location, answer.headers["referrer-policy"]]).toEqual([
      303,
      "/start?x=1#y",
      "no-referrer",
    ]);
    const cookies = answer.headers["set-cookie"] ?? [];
    expect(cookies.map((cookie) => cookie.replace(/=[^;]+/, "=…"))).toEqual([
      "atoll-preview-frame=…; Path=/; Max-Age=43200; HttpOnly; SameSite=None; Secure; Partitioned",
      "atoll-preview-tab=…; Path=/; Max-Age=43200; HttpOnly; SameSite=Lax",
    ]);
    const again = await visitor.show(ticket);
    expect([again.status, again.headers["set-cookie"], again.body.includes("ticket.used")]).toEqual([
      403,
      undefined,
      true,
    ]);
    expect(fixture.hostd.acceptedCount).toBe(0);
  });

  test("a ticket of another host, port, kind or time opens nothing, and stays good at its own", async () => {
    await using fixture = await testGateway();
    const { office } = fixture;
    const visitor = new PreviewVisitor(fixture, 3000);
    const other = new PreviewVisitor(fixture, 3001);
    const elsewhere = await office.preview({ port: 3001 });
    const refused: Array<[number, string]> = [];
    for (const ticket of [
      elsewhere,
      await office.preview({ port: 3000, slug: "red-reef" }),
      await office.session(),
      await office.preview({ port: 3000 }, { lifetimeSeconds: -1 }),
      "x",
    ]) {
      const answer = await visitor.show(ticket);
      refused.push([answer.status, /ticket\.\w+/.exec(answer.body)?.[0] ?? ""]);
    }
    expect(refused).toEqual([
      [401, "ticket.invalid"],
      [401, "ticket.invalid"],
      [401, "ticket.invalid"],
      [401, "ticket.expired"],
      [401, "ticket.invalid"],
    ]);
    expect(visitor.cookie).toBeUndefined();
    expect((await other.show(elsewhere)).status).toBe(303);
    // A cookie is for its own host alone.
    visitor.cookie = other.cookie;
    expect((await visitor.get("/")).status).toBe(401);
  });

  test("only enter exists among our own paths", async () => {
    await using fixture = await testGateway();
    const visitor = new PreviewVisitor(fixture, 3000);
    await visitor.enter();
    expect((await visitor.get("/__atoll/other")).status).toBe(404);
    expect((await visitor.get(PREVIEW_ENTER_PATH, { method: "POST" })).status).toBe(400);
    expect((await visitor.upgrade(PREVIEW_ENTER_PATH)).status).toBe(404);
    expect(fixture.hostd.dialled).toEqual([]);
  });

  test("pages of another workspace may not use the viewer's cookie; pages of this one may", async () => {
    await using fixture = await testGateway();
    await using guest = await guestServer((_request, response) => response.end("ok"));
    const visitor = new PreviewVisitor(fixture, guest.port);
    await visitor.enter();
    const listener = fixture.gateway.previewPort;
    const own = `http://${visitor.host}`;
    const sibling = `http://8000-blue-reef.preview.localhost:${listener}`;
    const foreign = `http://8000-red-reef.preview.localhost:${listener}`;
    const sameSite = { "sec-fetch-site": "same-site" };
    const cases: Array<[number, string, Record<string, string>]> = [
      [200, "GET", {}],
      [200, "POST", { origin: own }],
      [200, "POST", { "sec-fetch-site": "same-origin", origin: "null" }],
      [200, "POST", { ...sameSite, origin: sibling }],
      [200, "GET", { ...sameSite, "sec-fetch-mode": "no-cors", referer: `${sibling}/` }],
      [200, "GET", { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" }],
      [403, "POST", { ...sameSite, origin: foreign }],
      [403, "POST", { origin: foreign }],
      [403, "POST", { "sec-fetch-site": "cross-site", origin: WEB_ORIGIN }],
      [403, "POST", { "sec-fetch-site": "cross-site", origin: "null" }],
      [403, "POST", { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" }],
      [403, "GET", { ...sameSite, "sec-fetch-mode": "no-cors", referer: `${foreign}/` }],
      [403, "GET", { ...sameSite, "sec-fetch-mode": "no-cors" }],
    ];
    for (const [status, method, headers] of cases) {
      expect([method, headers, (await visitor.get("/", { method, headers })).status]).toEqual([
        method,
        headers,
        status,
      ]);
    }
    expect((await visitor.upgrade("/", { origin: foreign })).status).toBe(403);
    expect((await visitor.upgrade("/", { origin: WEB_ORIGIN })).status).toBe(403);
  });

  test("cookies that another page planted do not hide the real one", async () => {
    await using fixture = await testGateway();
    await using guest = await guestServer((request, response) => response.end(request.headers.cookie));
    const visitor = new PreviewVisitor(fixture, guest.port);
    await visitor.enter();
    const planted = Array.from({ length: 20 }, (_, at) => `atoll-preview-frame=x${at}.y`);
    const answer = await visitor.get("/", { headers: { cookie: [...planted, visitor.cookie].join("; ") } });
    expect([answer.status, answer.body]).toEqual([200, ""]);
  });

  test("a sign-in that hostd ended is refused with its code", async () => {
    await using fixture = await testGateway();
    const visitor = new PreviewVisitor(fixture, 3000);
    await visitor.enter();
    fixture.hostd.refusal = new AtollError("session.revoked");
    const answer = await visitor.get("/");
    expect([answer.status, codeOf(answer.body)]).toEqual([401, "session.revoked"]);
  });
});

describe("odd requests", () => {
  test("hosts that are not previews get the same answer", async () => {
    await using fixture = await testGateway();
    const visitor = new PreviewVisitor(fixture, 3000);
    const listener = fixture.gateway.previewPort;
    const names = [
      "localhost",
      "preview.localhost",
      "blue-reef.preview.localhost",
      "3000.preview.localhost",
      "0-blue-reef.preview.localhost",
      "80-blue-reef.preview.localhost",
      "65536-blue-reef.preview.localhost",
      "-1-blue-reef.preview.localhost",
      "08080-blue-reef.preview.localhost",
      "8080abc-blue-reef.preview.localhost",
      "3000-blue--reef.preview.localhost",
      "3000-blue_reef.preview.localhost",
      "3000-Blue-reef.preview.localhost",
      "3000-blue-reef.PREVIEW.localhost",
      "3000-blue-reef.preview.localhost.",
      "x.3000-blue-reef.preview.localhost",
      "3000-blue-reef.preview.localhost.evil.example",
      "3000-blue-reef.preview.evil.example",
      "3000-xn--bcher-kva.preview.localhost",
      `3000-${"a".repeat(60)}.preview.localhost`,
      "test@evil.com-blue-reef.preview.localhost",
    ];
    for (const name of names) {
      const answer = await visitor.get("/", { host: `${name}:${listener}` });
      expect([name, answer.status]).toEqual([name, 421]);
    }
    const otherPort = await visitor.get("/", { host: "3000-blue-reef.preview.localhost:1" });
    expect(otherPort.status).toBe(421);
    const without = await visitor.get("/", { host: "3000-blue-reef.preview.localhost" });
    expect(without.status).toBe(401);
  });

  test("forms that proxies read differently are refused", async () => {
    await using fixture = await testGateway();
    await using guest = await guestServer((_request, response) => response.end("reached"));
    const visitor = new PreviewVisitor(fixture, guest.port);
    await visitor.enter();
    const head = `Host: ${visitor.host}\r\nCookie: ${visitor.cookie}\r\n`;
    const close = "Connection: close\r\n";
    const cases: Array<[string, string]> = [
      [`GET http://169.254.169.254/ HTTP/1.1\r\n${head}${close}\r\n`, "400"],
      [`GET http://${visitor.host}/ HTTP/1.1\r\n${head}${close}\r\n`, "400"],
      [`CONNECT 169.254.169.254:80 HTTP/1.1\r\n${head}\r\n`, "405"],
      [`TRACE / HTTP/1.1\r\n${head}${close}\r\n`, "400"],
      [`OPTIONS * HTTP/1.1\r\n${head}${close}\r\n`, "400"],
      [`GET / HTTP/1.1\r\n${close}\r\n`, "400"],
      [`GET / HTTP/1.1\r\n${head}Host: evil.example\r\n${close}\r\n`, "421"],
      [
        `POST / HTTP/1.1\r\n${head}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n${close}\r\n0\r\n\r\n`,
        "400",
      ],
      [`POST / HTTP/1.1\r\n${head}Content-Length: 4\r\nContent-Length: 5\r\n${close}\r\nabcd`, "400"],
      [`POST / HTTP/1.1\r\n${head}Transfer-Encoding: gzip, chunked\r\n${close}\r\n0\r\n\r\n`, "400"],
      [`POST / HTTP/1.1\r\n${head}Transfer-Encoding: xchunked\r\n${close}\r\n0\r\n\r\n`, "400"],
      [`GET / HTTP/1.1\n${head}${close}\r\n`, "400"],
      [`GET / HTTP/1.1\r\n${head}X-A: 1\r\n folded\r\n${close}\r\n`, "400"],
      [`GET / HTTP/1.1\r\n${head}X: ${"x".repeat(40_000)}\r\n${close}\r\n`, "431"],
    ];
    for (const [bytes, status] of cases) {
      expect([bytes.slice(0, 60), (await visitor.raw(bytes)).split(" ")[1]]).toEqual([
        bytes.slice(0, 60),
        status,
      ]);
    }
    // Broken framing inside an authorised body: cut, and the guest's server never sees a second request.
    const overflow = `POST / HTTP/1.1\r\n${head}Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nx\r\n`;
    expect(await visitor.raw(overflow)).not.toContain("200");
    expect((await visitor.get("/")).body).toBe("reached");
  });

  test("health answers under loopback names only", async () => {
    await using fixture = await testGateway();
    await using guest = await guestServer((request, response) => response.end(request.url));
    for (const port of [fixture.gateway.previewPort, fixture.gateway.gatewayPort]) {
      const answer = await fetch(`http://127.0.0.1:${port}/healthz`);
      expect([answer.status, await answer.json()]).toEqual([200, { ok: true }]);
    }
    const visitor = new PreviewVisitor(fixture, guest.port);
    expect((await visitor.get("/healthz")).status).toBe(401);
    await visitor.enter();
    expect((await visitor.get("/healthz")).body).toBe("/healthz");
  });
});

describe("on the way to the guest", () => {
  test("the guest sees its own name and the user's headers, and none of ours", async () => {
    await using fixture = await testGateway();
    await using guest = await guestServer((request, response) =>
      response.end(JSON.stringify(request.headers)),
    );
    const visitor = new PreviewVisitor(fixture, guest.port);
    await visitor.enter();
    const seen = async (headers: Record<string, string>) =>
      JSON.parse((await visitor.get("/", { headers })).body) as Record<string, string>;
    const plain = await seen({
      cookie: `theirs=1; ${visitor.cookie}; atoll-preview-tab=x; more="a b"`,
      authorization: "Bearer theirs",
      "x-forwarded-for": "6.6.6.6",
      "x-forwarded-host": "evil.example",
      forwarded: "for=6.6.6.6",
      connection: "close, x-secret-hop",
      "x-secret-hop": "1",
      "keep-alive": "timeout=9",
      te: "trailers",
    });
    expect(plain).toEqual({
      host: `localhost:${guest.port}`,
      cookie: 'theirs=1; more="a b"',
      authorization: "Bearer theirs",
      connection: "keep-alive",
      "x-forwarded-host": visitor.host,
      "x-forwarded-proto": "http",
      "x-forwarded-for": "127.0.0.1",
    });
    const own = await seen({ origin: `http://${visitor.host}` });
    expect([own.origin, own["x-forwarded-host"], own.cookie]).toEqual([
      `http://localhost:${guest.port}`,
      `localhost:${guest.port}`,
      undefined,
    ]);
    const peer = await seen({
      origin: `http://8000-blue-reef.preview.localhost:${fixture.gateway.previewPort}`,
    });
    expect(peer.origin).toBe("http://localhost:8000");
  });

  test("response headers that reach beyond the application are dropped, the others stay", async () => {
    await using fixture = await testGateway();
    await using guest = await guestServer((_request, response) => {
      response.writeHead(201, "Made Up", [
        ["Set-Cookie", "good=1; Path=/; HttpOnly"],
        ["Set-Cookie", "wide=1; domain=preview.localhost"],
        ["Set-Cookie", "wide2=1;DOMAIN = localhost; Path=/"],
        ["Set-Cookie", "atoll-preview-frame=stolen"],
        ["Set-Cookie", "atoll-preview-tab=; Max-Age=0"],
        ["Set-Cookie", "also-good=domain=x"],
        ["Clear-Site-Data", '"*"'],
        ["Service-Worker-Allowed", "/"],
        ["Alt-Svc", 'h3=":443"'],
        ["X-Frame-Options", "DENY"],
        ["Content-Security-Policy", "default-src 'self'"],
        ["Connection", "keep-alive, X-Hop"],
        ["X-Hop", "1"],
        ["X-Own", "1"],
      ]);
      response.end("body");
    });
    const visitor = new PreviewVisitor(fixture, guest.port);
    await visitor.enter();
    const answer = await visitor.get("/");
    const { date: _date, connection: _connection, "keep-alive": _keepAlive, ...headers } = answer.headers;
    expect([answer.status, headers, answer.body]).toEqual([
      201,
      {
        "set-cookie": ["good=1; Path=/; HttpOnly", "also-good=domain=x"],
        "x-frame-options": "DENY",
        "content-security-policy": "default-src 'self'",
        "x-own": "1",
        "transfer-encoding": "chunked",
      },
      "body",
    ]);
  });

  test("redirects to the guest's own name lead back to the preview", async () => {
    await using fixture = await testGateway();
    await using guest = await guestServer((request, response) => {
      response.writeHead(302, { location: decodeURIComponent(request.url?.slice(1) ?? "") }).end();
    });
    const visitor = new PreviewVisitor(fixture, guest.port);
    await visitor.enter();
    const cases = [
      [`http://localhost:${guest.port}/a?b#c`, `http://${visitor.host}/a?b#c`],
      [`http://127.0.0.1:${guest.port}/`, `http://${visitor.host}/`],
      ["/relative", "/relative"],
      ["http://localhost:1/", "http://localhost:1/"],
      ["https://example.com/", "https://example.com/"],
    ];
    for (const [from, to] of cases) {
      expect((await visitor.get(`/${encodeURIComponent(from ?? "")}`)).headers.location).toBe(to);
    }
  });

  test("two ports of one workspace talk across origins; preflights need no cookie", async () => {
    await using fixture = await testGateway();
    await using guest = await guestServer((request, response) => {
      response.setHeader("Access-Control-Allow-Origin", request.headers.origin ?? "");
      response.end();
    });
    const visitor = new PreviewVisitor(fixture, guest.port);
    const origin = `http://8000-blue-reef.preview.localhost:${fixture.gateway.previewPort}`;
    const preflight = {
      method: "OPTIONS",
      headers: { origin, "access-control-request-method": "PUT", "access-control-request-headers": "x-a" },
    };
    const before = await visitor.get("/", preflight);
    expect([before.status, before.headers["access-control-allow-origin"]]).toEqual([204, origin]);
    expect(before.headers["access-control-allow-headers"]).toBe("x-a");
    const foreign = { ...preflight, headers: { ...preflight.headers, origin: WEB_ORIGIN } };
    expect((await visitor.get("/", foreign)).status).toBe(403);
    expect(fixture.hostd.acceptedCount).toBe(0);
    await visitor.enter();
    const answer = await visitor.get("/", { method: "PUT", headers: { origin } });
    expect(answer.headers["access-control-allow-origin"]).toBe(origin);
  });

  test("bodies stream both ways, of any size, without being held", async () => {
    await using fixture = await testGateway();
    await using guest = await guestServer((request, response) => request.pipe(response));
    const visitor = new PreviewVisitor(fixture, guest.port);
    await visitor.enter();
    const body = Buffer.alloc(8 * 1024 * 1024, "streaming ");
    const answer = await visitor.get("/", { method: "POST", body });
    const hash = (data: string | Buffer) => createHash("sha256").update(data).digest("hex");
    expect(hash(answer.body)).toBe(hash(body));
  });

  test("server-sent events arrive one by one, and the guest hears when the browser leaves", async () => {
    await using fixture = await testGateway();
    const left = Promise.withResolvers<void>();
    let send: (text: string) => void = () => {};
    await using guest = await guestServer((_request, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.flushHeaders();
      send = (text) => response.write(text);
      response.on("close", () => left.resolve());
    });
    const visitor = new PreviewVisitor(fixture, guest.port);
    await visitor.enter();
    const response = await visitor.open("/events");
    response.setEncoding("utf8");
    for (const text of ["data: 1\n\n", "data: 2\n\n"]) {
      const arrived = once(response, "data");
      send(text);
      expect(await arrived).toEqual([text]);
    }
    response.destroy();
    await left.promise;
  });

  test("a download that nobody reads stops the guest", async () => {
    await using fixture = await testGateway();
    let written = 0;
    await using guest = await guestServer((_request, response) => {
      const chunk = Buffer.alloc(64 * 1024);
      const fill = () => {
        while (written < 100 * 1024 * 1024) {
          written += chunk.length;
          if (!response.write(chunk)) return void response.once("drain", fill);
        }
      };
      fill();
    });
    const visitor = new PreviewVisitor(fixture, guest.port);
    await visitor.enter();
    const response = await visitor.open("/endless");
    let last = -1;
    await vi.waitFor(
      () => {
        const isStill = last === written;
        last = written;
        expect(isStill).toBe(true);
      },
      { interval: 100, timeout: 10_000 },
    );
    expect(written).toBeLessThan(30 * 1024 * 1024);
    response.destroy();
  });

  test("reads share kept connections; a kept one that went stale is replaced unnoticed", async () => {
    await using fixture = await testGateway();
    await using guest = await guestServer((request, response) => response.end(request.url));
    const visitor = new PreviewVisitor(fixture, guest.port);
    await visitor.enter();
    for (let at = 0; at < 10; at += 1) expect((await visitor.get(`/${at}`)).body).toBe(`/${at}`);
    expect(fixture.hostd.dialled).toEqual([guest.port]);
    expect(fixture.hostd.acceptedCount).toBe(1);
    guest.server.closeAllConnections();
    expect((await visitor.get("/after")).body).toBe("/after");
    await Promise.all(Array.from({ length: 20 }, (_, at) => visitor.get(`/parallel-${at}`)));
    expect(fixture.hostd.acceptedCount).toBe(1);
  });

  test("WebSockets pass, upgraded by the guest's own answer", async () => {
    await using fixture = await testGateway();
    await using guest = await guestServer((_request, response) => response.writeHead(426).end());
    guest.server.on("upgrade", (request, socket) => {
      socket.on("error", () => {});
      if (request.url !== "/hmr") return socket.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: ${request.headers["sec-websocket-protocol"]}\r\n\r\nhello `,
      );
      socket.pipe(socket);
    });
    const visitor = new PreviewVisitor(fixture, guest.port);
    await visitor.enter();
    const origin = `http://${visitor.host}`;
    const { socket, status } = await visitor.upgrade("/hmr", {
      origin,
      "sec-websocket-protocol": "vite-hmr",
    });
    expect(status).toBe(101);
    if (socket === undefined) throw new Error("not upgraded");
    socket.setEncoding("utf8");
    let got = "";
    socket.on("data", (text: string) => {
      got += text;
    });
    socket.write("there");
    await vi.waitFor(() => expect(got).toBe("hello there"));
    socket.end();
    await once(socket, "close");
    await vi.waitFor(async () => {
      const count = await new Promise<number>((resolve) =>
        guest.server.getConnections((_error, open) => resolve(open)),
      );
      expect(count).toBe(0);
    });
    expect((await visitor.upgrade("/elsewhere", { origin })).status).toBe(403);
  });

  test("an upgrade to anything but a WebSocket is an ordinary request", async () => {
    await using fixture = await testGateway();
    await using guest = await guestServer((request, response) =>
      response.end(String(request.headers.upgrade)),
    );
    const visitor = new PreviewVisitor(fixture, guest.port);
    await visitor.enter();
    const answer = await visitor.get("/", { headers: { connection: "Upgrade", upgrade: "h2c" } });
    expect(answer.body).toBe("undefined");
  });
});

describe("when there is nothing to show", () => {
  test("a page for people says what, why and what now, and tries again; programs get JSON", async () => {
    await using fixture = await testGateway();
    const closed = await guestServer(() => {});
    await closed[Symbol.asyncDispose]();
    const visitor = new PreviewVisitor(fixture, closed.port);
    await visitor.enter();
    const page = await visitor.get("/", { headers: { accept: "text/html,*/*" } });
    expect(page.status).toBe(502);
    expect(page.body).toContain("Nothing is listening on this port.");
    expect(page.body).toContain("<code>port.nothing_listening</code>");
    expect(page.body).toContain(`port ${closed.port}`);
    expect(page.body).toContain("data-retry-ms");
    expect(page.headers["content-security-policy"]).toContain(`frame-ancestors 'self' ${WEB_ORIGIN}`);
    expect(page.headers["cache-control"]).toBe("no-store");
    const json = await visitor.get("/");
    expect([json.headers["content-type"], codeOf(json.body)]).toEqual([
      "application/json; charset=utf-8",
      "port.nothing_listening",
    ]);
    expect((await visitor.upgrade("/")).status).toBe(502);
  });

  test("a visit wakes a paused workspace; background requests of an open page do not", async () => {
    await using fixture = await testGateway();
    await using guest = await guestServer((_request, response) => response.end("awake"));
    fixture.hostd.state = "paused";
    const visitor = new PreviewVisitor(fixture, guest.port);
    await visitor.enter();
    const background = await visitor.get("/poll", {
      headers: { "sec-fetch-site": "same-origin", "sec-fetch-mode": "cors" },
    });
    expect([background.status, JSON.parse(background.body).error.details]).toEqual([
      409,
      { state: "paused" },
    ]);
    expect((await visitor.upgrade("/ws", { origin: `http://${visitor.host}` })).status).toBe(409);
    expect(fixture.hostd.dialled).toEqual([]);
    const woken = Promise.withResolvers<void>();
    fixture.hostd.wake = () => woken.promise;
    const visits = Promise.all(Array.from({ length: 20 }, () => visitor.get("/")));
    await vi.waitFor(() => expect(fixture.hostd.dialled.length).toBeGreaterThan(0));
    woken.resolve();
    expect((await visits).map((answer) => answer.body)).toEqual(Array(20).fill("awake"));
    expect(fixture.hostd.acceptedCount).toBe(1);
  });

  test.each([
    ["failed", 500, "workspace.failed"],
    ["erased", 410, "workspace.deleted"],
  ] as const)("a %s workspace is said to be so", async (state, status, code) => {
    await using fixture = await testGateway();
    fixture.hostd.state = state;
    const visitor = new PreviewVisitor(fixture, 3000);
    await visitor.enter();
    const answer = await visitor.get("/");
    expect([answer.status, codeOf(answer.body)]).toEqual([status, code]);
  });

  test("hostd down is a 503, and the next request after its return works", async () => {
    await using fixture = await testGateway();
    await using guest = await guestServer((_request, response) => response.end("ok"));
    const visitor = new PreviewVisitor(fixture, guest.port);
    await visitor.enter();
    expect((await visitor.get("/")).body).toBe("ok");
    for (const { socket } of fixture.hostd.connections) socket.destroy();
    await vi.waitFor(async () => expect((await visitor.get("/")).body).toBe("ok"));
    await fixture.hostd[Symbol.asyncDispose]();
    await vi.waitFor(async () => {
      const answer = await visitor.get("/");
      expect([answer.status, codeOf(answer.body)]).toEqual([503, "host.unreachable"]);
    });
  });

  test.each([
    ["closes without a word", ""],
    ["does not speak HTTP", "SSH-2.0-OpenSSH\r\n"],
    [
      "sends a head without end",
      `HTTP/1.1 200 OK\r\n${"X-Filler: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n".repeat(10_000)}\r\n`,
    ],
    [
      "splits its framing",
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
  ])("a guest server that %s is a 502", async (_what, bytes) => {
    await using fixture = await testGateway();
    const server = createTcpServer((socket) => {
      socket.on("error", () => {});
      socket.once("data", () => socket.end(bytes));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    const visitor = new PreviewVisitor(fixture, port);
    await visitor.enter();
    const answer = await visitor.get("/");
    expect([answer.status, codeOf(answer.body)]).toEqual([502, "port.bad_answer"]);
    server.close();
  });

  test("any number of informational answers before the real one is read over", async () => {
    await using fixture = await testGateway();
    const server = createTcpServer((socket) => {
      socket.on("error", () => {});
      const hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(20_000);
      socket.once("data", () => socket.end(`${hints}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nreal`));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    const visitor = new PreviewVisitor(fixture, port);
    await visitor.enter();
    expect((await visitor.get("/")).body).toBe("real");
    server.close();
  });

  test("an answer before the end of an upload reaches the browser", async () => {
    await using fixture = await testGateway();
    await using guest = await guestServer((request, response) => {
      if (request.method === "POST") response.writeHead(413).end("enough");
      else response.end("fine");
    });
    const visitor = new PreviewVisitor(fixture, guest.port);
    await visitor.enter();
    const answer = await visitor.get("/", { method: "POST", body: Buffer.alloc(4 * 1024 * 1024) });
    expect([answer.status, answer.body]).toEqual([413, "enough"]);
    expect((await visitor.get("/")).body).toBe("fine");
  });

  test("a response cut short in the guest is cut short for the browser", async () => {
    await using fixture = await testGateway();
    await using guest = await guestServer((request, response) => {
      response.writeHead(200, { "content-length": 100 });
      response.write("half");
      setImmediate(() => request.socket.destroy());
    });
    const visitor = new PreviewVisitor(fixture, guest.port);
    await visitor.enter();
    await expect(visitor.get("/")).rejects.toThrow("aborted");
  });

  test("requests in flight end when the workspace's link does, and the process goes on", async () => {
    await using fixture = await testGateway();
    await using guest = await guestServer(() => {});
    const visitor = new PreviewVisitor(fixture, guest.port);
    await visitor.enter();
    const waiting = visitor.get("/hangs");
    await vi.waitFor(() => expect(fixture.hostd.dialled).toHaveLength(1));
    fixture.hostd.connections[0]?.mux.close(new AtollError("link.lost"));
    fixture.hostd.connections[0]?.socket.destroySoon();
    const answer = await waiting;
    expect([answer.status, codeOf(answer.body)]).toEqual([502, "link.lost"]);
  });
});

test("closing the gateway ends previews that still stream", async () => {
  await using guest = await guestServer((_request, response) => {
    response.writeHead(200).flushHeaders();
  });
  const fixture = await testGateway();
  const visitor = new PreviewVisitor(fixture, guest.port);
  await visitor.enter();
  const response = await visitor.open("/stream");
  const ended = once(response, "error");
  await fixture[Symbol.asyncDispose]();
  await ended;
});

test("connections that say nothing keep nobody out", async () => {
  await using fixture = await testGateway();
  const sockets = Array.from({ length: 200 }, () => connect(fixture.gateway.previewPort, "127.0.0.1"));
  await Promise.all(sockets.map((socket) => once(socket, "connect")));
  const visitor = new PreviewVisitor(fixture, 3000);
  expect((await visitor.get("/", { headers: { "x-id": randomUUID() } })).status).toBe(401);
  for (const socket of sockets) socket.destroy();
});
