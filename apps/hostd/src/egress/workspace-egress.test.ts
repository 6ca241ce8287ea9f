import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { ManualClock } from "@atoll/base/manual-clock";
import { AtollError } from "@atoll/protocol/atoll-error";
import { openChannel } from "@atoll/protocol/call";
import type { StreamItem } from "@atoll/protocol/item-queue";
import { EGRESS_STREAMS_PER_WORKSPACE, STREAM_WINDOW_BYTES } from "@atoll/protocol/limits";
import { type EgressPreset, egressConnect } from "@atoll/protocol/messages/egress";
import { muxPair } from "@atoll/protocol/mux-pair";
import { pino } from "pino";
import { describe, expect, it } from "vitest";
import type { ResolveHost } from "./resolve-host.ts";
import { WorkspaceEgress } from "./workspace-egress.ts";

const PUBLIC_ADDRESS = "203.0.113.7";
const OWN_ADDRESS = "203.0.113.9";

/** A guest whose allowed connections all end at `onConnection`, on a loopback server that plays the internet. */
async function guest(options: {
  preset?: EgressPreset;
  addresses?: string[];
  packages?: string[];
  onConnection?: (socket: Socket) => void;
  isClosed?: boolean;
  /** Instead of answering at once. */
  resolve?: ResolveHost;
}) {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    outside.add(socket);
    socket.on("error", () => {});
    options.onConnection?.(socket);
  });
  const outside = new Set<Socket>();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  if (options.isClosed) {
    server.close();
    await once(server, "close");
  }
  const asked: string[] = [];
  const dialled: Array<[string, number]> = [];
  const settings = { preset: options.preset ?? ("open" as EgressPreset) };
  const passed = { bytes: 0 };
  const egress = new WorkspaceEgress({
    workspaceId: "w",
    preset: () => settings.preset,
    packageHosts: () => new Set(options.packages ?? []),
    isOwn: (address) => address === OWN_ADDRESS,
    resolve: async (host, signal) => {
      asked.push(host);
      if (options.resolve) return options.resolve(host, signal);
      return (options.addresses ?? [PUBLIC_ADDRESS]).map((address) => ({ address, family: 4 }));
    },
    connect: (address, wantedPort) => {
      dialled.push([address, wantedPort]);
      return connect({ host: "127.0.0.1", port, allowHalfOpen: true });
    },
    clock: new ManualClock(),
    logger: pino({ level: "silent" }),
    onBytes: (count) => {
      passed.bytes += count;
    },
  });
  const { server: agent, cut } = muxPair({ onClientOpen: (open) => egress.onOpen(open), maxStreams: 1000 });
  return {
    egress,
    asked,
    dialled,
    settings,
    passed,
    cut,
    outside,
    open: (host: string, wantedPort = 443) => openChannel(agent, egressConnect, { host, port: wantedPort }),
    async [Symbol.asyncDispose]() {
      for (const socket of outside) socket.destroy();
      if (!options.isClosed) {
        server.close();
        await once(server, "close");
      }
    },
  };
}

async function readAll(items: AsyncIterable<StreamItem>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const item of items) if (item.kind === "data") chunks.push(item.bytes);
  return Buffer.concat(chunks);
}

describe("policy", () => {
  it("refuses before any name is looked up", async () => {
    await using off = await guest({ preset: "off" });
    await expect(off.open("example.org")).rejects.toMatchObject({ code: "egress.denied" });
    await using packages = await guest({ preset: "packages", packages: ["deb.example"] });
    await expect(packages.open("example.org")).rejects.toMatchObject({ code: "egress.denied" });
    await using open = await guest({});
    await expect(open.open("mail.example", 25)).rejects.toMatchObject({ code: "egress.denied" });
    expect([...off.asked, ...packages.asked, ...open.asked]).toEqual([]);
  });

  it("refuses private literals and names with any private answer, and dials nothing", async () => {
    await using rebinding = await guest({ addresses: [PUBLIC_ADDRESS, "10.0.0.1"] });
    await expect(rebinding.open("rebinding.example")).rejects.toMatchObject({
      code: "egress.private_address",
    });
    for (const host of ["169.254.169.254", "127.0.0.1", "[::ffff:127.0.0.1]", "fd00::1"]) {
      await expect(rebinding.open(host)).rejects.toMatchObject({ code: "egress.private_address" });
    }
    expect(rebinding.dialled).toEqual([]);
  });

  it("refuses what is this host itself, though it be public", async () => {
    await using own = await guest({ addresses: [PUBLIC_ADDRESS, OWN_ADDRESS] });
    for (const host of ["own.example", OWN_ADDRESS]) {
      await expect(own.open(host)).rejects.toMatchObject({ code: "egress.private_address" });
    }
    expect(own.dialled).toEqual([]);
  });

  it("asks for so many names at once, cancels what is not waited for, and lets the next ask", async () => {
    const cancelled: string[] = [];
    await using one = await guest({
      resolve: (host, signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => {
            cancelled.push(host);
            reject(signal.reason);
          });
        }),
    });
    const openings = Array.from({ length: 40 }, (_, index) => one.open(`tar-pit-${index}.example`));
    const ends = Promise.allSettled(openings);
    await expect.poll(() => one.asked.length).toBe(16);
    one.settings.preset = "off";
    one.egress.presetChanged();
    for (const end of await ends) expect(end).toMatchObject({ reason: { code: "egress.denied" } });
    expect(cancelled).toEqual(one.asked);
    expect(one.asked.length).toBe(16);
    one.settings.preset = "open";
    const later = one.open("later.example");
    later.catch(() => {});
    await expect.poll(() => one.asked.at(-1)).toBe("later.example");
    one.cut(new AtollError("link.lost"));
    await expect(later).rejects.toMatchObject({ code: "link.lost" });
  });

  it("dials the very address it judged, after one look-up", async () => {
    await using packages = await guest({ preset: "packages", packages: ["deb.example"] });
    const channel = await packages.open("DEB.example.", 80);
    expect(packages.asked).toEqual(["deb.example"]);
    expect(packages.dialled).toEqual([[PUBLIC_ADDRESS, 80]]);
    channel.stream.reset();
  });

  it("says when a name is unknown or nobody answers", async () => {
    await using unknown = await guest({ addresses: [] });
    await expect(unknown.open("nothing.example")).rejects.toMatchObject({ code: "egress.unreachable" });
    await using closed = await guest({ isClosed: true });
    await expect(closed.open("closed.example")).rejects.toMatchObject({ code: "egress.unreachable" });
    expect(closed.egress.connectionCount).toBe(0);
  });

  it.each(["a b", "127.1", "", "host:80"])("refuses the malformed host %j", async (host) => {
    await using one = await guest({});
    await expect(one.open(host)).rejects.toMatchObject({ code: "request.invalid" });
  });

  it("limits connections of one workspace", async () => {
    await using one = await guest({});
    const channels = await Promise.all(
      Array.from({ length: EGRESS_STREAMS_PER_WORKSPACE }, () => one.open("many.example")),
    );
    await expect(one.open("many.example")).rejects.toMatchObject({ code: "egress.limit_reached" });
    for (const { stream } of channels) stream.reset();
    await expect.poll(() => one.egress.connectionCount).toBe(0);
    (await one.open("many.example")).stream.reset();
  });
});

describe("bytes", () => {
  it("pass both ways, each direction ending on its own, and are counted", async () => {
    await using one = await guest({
      onConnection: async (socket) => {
        const request = [];
        for await (const chunk of socket) request.push(chunk as Buffer);
        socket.end(Buffer.concat([Buffer.from("got "), ...request]));
      },
    });
    const { stream } = await one.open("echo.example");
    await stream.write(Buffer.from("hello"));
    stream.end();
    expect((await readAll(stream)).toString()).toBe("got hello");
    await expect(stream.closed).resolves.toBeUndefined();
    expect(one.egress.counters).toEqual({ sentBytes: 5, receivedBytes: 9 });
    expect(one.passed.bytes).toBe(14);
    expect(one.egress.connectionCount).toBe(0);
  });

  it("let the outside finish first while the guest still writes", async () => {
    const received = Promise.withResolvers<string>();
    await using one = await guest({
      onConnection: async (socket) => {
        socket.end("early");
        let text = "";
        for await (const chunk of socket) text += String(chunk);
        received.resolve(text);
      },
    });
    const { stream } = await one.open("half.example");
    expect((await readAll(stream)).toString()).toBe("early");
    await stream.write(Buffer.from("late"));
    stream.end();
    expect(await received.promise).toBe("late");
  });

  it("wait for a slow reader on either side", async () => {
    const size = 4 * STREAM_WINDOW_BYTES;
    await using one = await guest({ onConnection: (socket) => socket.end(Buffer.alloc(size, 7)) });
    const { stream } = await one.open("flood.example");
    await expect.poll(() => one.egress.counters.receivedBytes).toBeGreaterThan(0);
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(one.egress.counters.receivedBytes).toBeLessThan(size);
    expect((await readAll(stream)).length).toBe(size);
    stream.end();
  });

  it("end with a reset when the outside cuts the connection", async () => {
    await using one = await guest({
      onConnection: (socket) => socket.once("data", () => socket.resetAndDestroy()),
    });
    const { stream } = await one.open("rude.example");
    await stream.write(Buffer.from("hello"));
    await expect(stream.closed).resolves.toMatchObject({ code: expect.any(String) });
    await expect.poll(() => one.egress.connectionCount).toBe(0);
  });

  it("end outside when the guest resets, and when its link is lost", async () => {
    const closed: Promise<unknown>[] = [];
    await using one = await guest({ onConnection: (socket) => closed.push(once(socket.resume(), "close")) });
    const first = await one.open("one.example");
    const second = await one.open("two.example");
    first.stream.reset();
    await expect.poll(() => one.egress.connectionCount).toBe(1);
    expect(second.stream.isOver).toBe(false);
    one.cut(new AtollError("link.lost"));
    for (const socket of one.outside) socket.end();
    await Promise.all(closed);
    await expect.poll(() => one.egress.connectionCount).toBe(0);
  });
});

it("cuts connections that a new preset no longer allows, and only those", async () => {
  await using one = await guest({ packages: ["deb.example"] });
  const kept = await one.open("deb.example", 443);
  const cut = await one.open("elsewhere.example", 443);
  one.settings.preset = "packages";
  one.egress.presetChanged();
  await expect(cut.stream.closed).resolves.toMatchObject({ code: "egress.denied" });
  expect(kept.stream.isOver).toBe(false);
  one.settings.preset = "off";
  one.egress.presetChanged();
  await expect(kept.stream.closed).resolves.toMatchObject({ code: "egress.denied" });
});
