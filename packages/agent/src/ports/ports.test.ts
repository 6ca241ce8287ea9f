import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { call, openChannel } from "@atoll/protocol/call";
import { portsConnect, portsWatch } from "@atoll/protocol/messages/ports";
import { describe, expect, it } from "vitest";
import { RESERVED_PORT, testGuest } from "../testing/test-guest.ts";
import { parseSocketTable } from "./listening-sockets.ts";

async function listen(
  onSocket: (socket: Socket) => void,
  host = "127.0.0.1",
): Promise<Server & AsyncDisposable> {
  const server = createServer({ allowHalfOpen: true }, onSocket);
  server.listen(0, host);
  await once(server, "listening");
  return Object.assign(server, {
    [Symbol.asyncDispose]: async () => {
      server.close();
    },
  });
}

const portOf = (server: Server) => (server.address() as AddressInfo).port;

describe("listening ports", () => {
  it("reads the kernel's tables", () => {
    const head =
      "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
    const line = (address: string, state: string, inode: number) =>
      `   0: ${address} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000  1000        0 ${inode} 1 0 100 0 0 10 0\n`;
    expect(
      parseSocketTable(
        head +
          line("0100007F:1F90", "0A", 11) +
          line("0100007F:1F91", "01", 12) +
          line("00000000000000000000000000000000:0BB8", "0A", 13) +
          line("00000000000000000000000001000000:0BB9", "0A", 14) +
          line("0000000000000000FFFF00000100007F:0BBA", "0A", 15) +
          line("B80D0120000000000000000001000000:0BBB", "0A", 16) +
          "  broken\n",
      ),
    ).toEqual([
      { port: 8080, address: "127.0.0.1", inode: "11" },
      { port: 3000, address: "::", inode: "13" },
      { port: 3001, address: "::1", inode: "14" },
      { port: 3002, address: "::ffff:127.0.0.1", inode: "15" },
      { port: 3003, address: "2001:db8::1", inode: "16" },
    ]);
  });

  it("tells a new server with its process, and its end", async () => {
    await using guest = await testGuest();
    const watching = await openChannel(guest.client, portsWatch, {});
    const items = watching.items();
    const server = await listen(() => {});
    const port = portOf(server);
    const untilListed = async (isListed: boolean) => {
      for (;;) {
        const { value } = await items.next();
        if (value?.kind !== "event") throw new Error("no event");
        const found = value.value.ports.find((entry: { port: number }) => entry.port === port);
        if ((found !== undefined) === isListed) return found;
      }
    };
    expect(await untilListed(true)).toMatchObject({ port, address: "127.0.0.1", pid: process.pid });
    server.close();
    await untilListed(false);
    watching.stream.end();
    expect(await watching.stream.closed).toBeUndefined();
  });
});

describe("connecting to a port", () => {
  it("carries bytes and half-closes both ways, over IPv4 and IPv6", async () => {
    await using guest = await testGuest();
    for (const host of ["127.0.0.1", "::1"]) {
      await using server = await listen((socket) => {
        socket.write("hello ");
        const parts: Buffer[] = [];
        socket.on("data", (chunk) => parts.push(chunk));
        socket.on("end", () => socket.end(`got ${Buffer.concat(parts).length}`));
      }, host);
      const channel = await openChannel(guest.client, portsConnect, { port: portOf(server) });
      await channel.stream.write(new Uint8Array(700_000));
      channel.stream.end();
      let text = "";
      for await (const item of channel.items())
        if (item.kind === "data") text += Buffer.from(item.bytes).toString();
      expect(text).toBe("hello got 700000");
      expect(await channel.stream.closed).toBeUndefined();
    }
  });

  it("holds a server whose bytes nobody reads", async () => {
    await using guest = await testGuest();
    let written = 0;
    let isStalled: () => void;
    const stalled = new Promise<void>((resolve) => {
      isStalled = resolve;
    });
    await using server = await listen((socket) => {
      socket.on("error", () => {});
      const chunk = new Uint8Array(65_536);
      const fill = () => {
        while (written < 100_000_000 && socket.write(chunk)) written += chunk.length;
        setTimeout(() => isStalled(), 300);
      };
      socket.on("drain", fill);
      fill();
    });
    const channel = await openChannel(guest.client, portsConnect, { port: portOf(server) });
    await stalled;
    expect(written).toBeLessThan(50_000_000);
    channel.stream.reset();
  });

  it("resets the stream when the server breaks off, and the connection when the caller does", async () => {
    await using guest = await testGuest();
    const sockets: Socket[] = [];
    await using server = await listen((socket) => {
      socket.on("error", () => {});
      sockets.push(socket);
      if (sockets.length === 1) socket.once("data", () => socket.resetAndDestroy());
    });
    const broken = await openChannel(guest.client, portsConnect, { port: portOf(server) });
    await broken.stream.write(Buffer.from("x"));
    expect(await broken.stream.closed).toMatchObject({ code: "stream.reset" });
    const given = await openChannel(guest.client, portsConnect, { port: portOf(server) });
    await given.stream.write(Buffer.from("x"));
    await expect.poll(() => sockets.length).toBe(2);
    const closed = new Promise((resolve) => sockets[1]?.once("close", resolve));
    given.stream.reset();
    await closed;
  });

  it("says that nothing listens, and refuses the agent's own port", async () => {
    await using guest = await testGuest();
    const server = await listen(() => {});
    const port = portOf(server);
    server.close();
    await once(server, "close");
    await expect(openChannel(guest.client, portsConnect, { port })).rejects.toMatchObject({
      code: "port.nothing_listening",
    });
    await expect(openChannel(guest.client, portsConnect, { port: RESERVED_PORT })).rejects.toMatchObject({
      code: "port.invalid",
    });
    await expect(
      call(guest.client, { ...portsConnect, kind: "request" }, { port: 80 }),
    ).rejects.toMatchObject({
      code: "request.invalid",
    });
  });
});
