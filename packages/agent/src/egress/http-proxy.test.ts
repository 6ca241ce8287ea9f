import { once } from "node:events";
import { createServer, type IncomingMessage, request, type Server } from "node:http";
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from "node:net";
import { AtollError } from "@atoll/protocol/atoll-error";
import { egressConnect } from "@atoll/protocol/messages/egress";
import type { Mux } from "@atoll/protocol/mux";
import { muxPair } from "@atoll/protocol/mux-pair";
import { describe, expect, it } from "vitest";
import { joinSocket } from "../ports/join-socket.ts";
import { EgressDialer } from "./egress-dialer.ts";
import { HttpProxy } from "./http-proxy.ts";

/** A host that connects `*.test` to this machine's loopback and refuses the rest, as hostd would. */
async function testProxy() {
  const dials: string[] = [];
  const { client, server } = muxPair({
    maxStreams: 64,
    onClientOpen: (incoming) => {
      const { host, port } = egressConnect.params.parse(incoming.params);
      dials.push(`${host}:${port}`);
      if (host === "private.test") return incoming.refuse(new AtollError("egress.private_address"));
      if (!host.endsWith(".test")) return incoming.refuse(new AtollError("egress.denied"));
      const stream = incoming.accept();
      const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true });
      socket.once("error", () => stream.reset(new AtollError("egress.unreachable")));
      socket.once("connect", () => {
        stream.sendReply({});
        joinSocket(socket, stream).then(
          () => stream.end(),
          () => socket.destroy(),
        );
      });
    },
  });
  let mux: Mux | undefined = server;
  const dialer = new EgressDialer(() => mux);
  const proxy = new HttpProxy({ dial: (target, signal) => dialer.dial(target, signal) });
  const port = await proxy.listen(0);
  return {
    port,
    dials,
    client,
    server,
    unlink: () => {
      mux = undefined;
    },
    [Symbol.asyncDispose]: () => proxy[Symbol.asyncDispose](),
  };
}

async function webServer(onRequest: Parameters<typeof createServer>[1]) {
  const server: Server = createServer(onRequest);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    server,
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

async function ask(
  proxyPort: number,
  url: string,
  options: { method?: string; body?: Uint8Array; headers?: Record<string, string> } = {},
) {
  const outgoing = request({
    host: "127.0.0.1",
    port: proxyPort,
    path: url,
    method: options.method ?? "GET",
    headers: { host: new URL(url).host, ...options.headers },
  });
  outgoing.end(options.body);
  const [reply] = (await once(outgoing, "response")) as [IncomingMessage];
  let text = "";
  for await (const chunk of reply) text += chunk;
  return { status: reply.statusCode, reason: reply.statusMessage, headers: reply.headers, text };
}

async function tunnel(proxyPort: number, target: string) {
  const outgoing = request({ host: "127.0.0.1", port: proxyPort, method: "CONNECT", path: target });
  outgoing.end();
  const [reply, socket] = (await once(outgoing, "connect")) as [IncomingMessage, Socket, Buffer];
  return { reply, socket };
}

describe("the guest's proxy", () => {
  it("forwards plain requests without their connection's headers", async () => {
    await using proxy = await testProxy();
    await using web = await webServer((incoming, answer) => {
      answer.setHeader("x-kept", "yes");
      answer.setHeader("connection", "x-drop, keep-alive");
      answer.setHeader("x-drop", "yes");
      answer.end(JSON.stringify({ url: incoming.url, headers: incoming.headers }));
    });
    const { status, headers, text } = await ask(proxy.port, `http://site.test:${web.port}/a?b=c`, {
      headers: { "proxy-authorization": "Basic secret", "proxy-connection": "keep-alive", "x-mine": "1" },
    });
    expect(status).toBe(200);
    expect(headers).toMatchObject({ "x-kept": "yes" });
    expect(headers["x-drop"]).toBeUndefined();
    const seen = JSON.parse(text);
    expect(seen.url).toBe("/a?b=c");
    expect(seen.headers).toEqual({ host: `site.test:${web.port}`, "x-mine": "1", connection: "keep-alive" });
  });

  it("streams bodies both ways, chunked or counted, and reuses the upstream connection", async () => {
    await using proxy = await testProxy();
    await using web = await webServer((incoming, answer) => {
      let bytes = 0;
      incoming.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
      });
      incoming.on("end", () => answer.end(`${incoming.method} ${bytes} ${"y".repeat(bytes)}`));
    });
    const url = `http://site.test:${web.port}/`;
    const body = new Uint8Array(1_000_000);
    const counted = await ask(proxy.port, url, {
      method: "PUT",
      body,
      headers: { "content-length": "1000000" },
    });
    expect(counted.text.length).toBe("PUT 1000000 ".length + 1_000_000);
    const chunked = await ask(proxy.port, url, {
      method: "POST",
      body,
      headers: { "transfer-encoding": "chunked" },
    });
    expect(chunked.text.length).toBe("POST 1000000 ".length + 1_000_000);
    expect((await ask(proxy.port, url, { method: "HEAD" })).text).toBe("");
    expect((await ask(proxy.port, url, { method: "DELETE" })).text).toBe("DELETE 0 ");
    expect(proxy.dials.length).toBeLessThan(4);
  });

  it("asks again when a kept connection was closed by the other end", async () => {
    await using proxy = await testProxy();
    let connections = 0;
    const server = createTcpServer((socket) => {
      connections++;
      socket.on("error", () => {});
      let count = 0;
      socket.on("data", () => {
        count++;
        if (count === 1) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        // Gone in the moment the second request arrives.
        else socket.resetAndDestroy();
      });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const url = `http://site.test:${(server.address() as AddressInfo).port}/`;
    expect((await ask(proxy.port, url)).text).toBe("ok");
    expect((await ask(proxy.port, url)).text).toBe("ok");
    expect(connections).toBe(2);
    server.close();
  });

  it("tunnels with half-closes in both directions", async () => {
    await using proxy = await testProxy();
    const server = createTcpServer({ allowHalfOpen: true }, (socket) => {
      let bytes = 0;
      socket.on("data", (chunk) => {
        bytes += chunk.length;
      });
      socket.on("end", () => socket.end(`got ${bytes}`));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { reply, socket } = await tunnel(proxy.port, `site.test:${(server.address() as AddressInfo).port}`);
    expect(reply.statusCode).toBe(200);
    socket.end(new Uint8Array(800_000));
    let text = "";
    for await (const chunk of socket) text += chunk;
    expect(text).toBe("got 800000");
    server.close();
  });

  it("tells programs why in status, reason and one line", async () => {
    await using proxy = await testProxy();
    const cases: Array<[string, number, string]> = [
      ["http://other.example/", 403, "egress.denied"],
      ["http://private.test/", 403, "egress.private_address"],
      ["http://site.test:1/", 502, "egress.unreachable"],
    ];
    for (const [url, status, code] of cases) {
      const answer = await ask(proxy.port, url);
      expect([answer.status, answer.reason?.split(":")[0]]).toEqual([status, code]);
      expect(answer.text).toMatch(new RegExp(`^atoll: ${code}: .+\\n$`));
      const { reply, socket } = await tunnel(
        proxy.port,
        `${new URL(url).hostname}:${new URL(url).port || 443}`,
      );
      expect([reply.statusCode, reply.statusMessage?.split(":")[0]]).toEqual([status, code]);
      socket.destroy();
    }
    proxy.unlink();
    expect((await ask(proxy.port, "http://site.test/")).status).toBe(503);
  });

  it("refuses what is no address of another server", async () => {
    await using proxy = await testProxy();
    for (const raw of [
      "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
      "GET ftp://site.test/ HTTP/1.1\r\nHost: x\r\n\r\n",
      "CONNECT site.test HTTP/1.1\r\nHost: x\r\n\r\n",
      "CONNECT site.test:0 HTTP/1.1\r\nHost: x\r\n\r\n",
      "CONNECT user@site.test:443 HTTP/1.1\r\nHost: x\r\n\r\n",
    ]) {
      const socket = connect(proxy.port, "127.0.0.1");
      socket.write(raw);
      const [chunk] = (await once(socket, "data")) as [Buffer];
      expect(chunk.toString().split(" ")[1], raw).toBe("400");
      socket.destroy();
    }
    const garbage = connect(proxy.port, "127.0.0.1");
    garbage.write("\x16\x03\x01 not http\r\n\r\n");
    await once(garbage, "close");
    expect(proxy.dials).toEqual([]);
  });

  it("closes the stream when the program goes away, and the program's connection when the link does", async () => {
    await using proxy = await testProxy();
    const sockets: Socket[] = [];
    const server = createTcpServer((socket) => {
      socket.on("error", () => {});
      sockets.push(socket);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const target = `site.test:${(server.address() as AddressInfo).port}`;
    const first = await tunnel(proxy.port, target);
    first.socket.write("x");
    await expect.poll(() => sockets.length).toBe(1);
    const closed = new Promise((resolve) => sockets[0]?.once("close", resolve));
    first.socket.resetAndDestroy();
    await closed;
    await expect.poll(() => proxy.server.streamCount).toBe(0);
    const second = await tunnel(proxy.port, target);
    second.socket.on("error", () => {});
    const gone = new Promise((resolve) => second.socket.once("close", resolve));
    proxy.server.lost(new AtollError("link.lost"));
    await gone;
    server.close();
  });
});
