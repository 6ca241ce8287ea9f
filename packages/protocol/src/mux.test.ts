import { describe, expect, it } from "vitest";
import { AtollError } from "./atoll-error.ts";
import { call, openChannel, openerItems } from "./call.ts";
import { Dispatcher } from "./dispatcher.ts";
import { STREAM_WINDOW_BYTES } from "./limits.ts";
import { corePing } from "./messages/core.ts";
import { filesList } from "./messages/files.ts";
import { processRun } from "./messages/process.ts";
import { terminalAttach } from "./messages/terminal.ts";
import { muxPair } from "./mux-pair.ts";
import { relayStream } from "./relay-stream.ts";

function echoDispatcher(): Dispatcher {
  const dispatcher = new Dispatcher((error) => {
    throw error;
  });
  dispatcher.onRequest(corePing, () => ({ uptimeMs: 7 }));
  dispatcher.onRequest(filesList, () => ({
    entries: Array.from({ length: 5000 }, (_, index) => ({
      name: `file-${index}`,
      kind: "file" as const,
      sizeBytes: index,
      modifiedAtMs: 0,
      mode: 0o644,
      version: "1",
    })),
    isTruncated: false,
  }));
  dispatcher.onChannel(processRun, async (_params, stream) => {
    stream.sendReply({ pid: 1 });
    for await (const item of openerItems(stream, processRun)) {
      if (item.kind === "data") await stream.write(item.bytes);
    }
    await stream.sendEvent({ type: "exit", exitCode: 0, signal: null, isTimedOut: false });
  });
  return dispatcher;
}

describe("mux", () => {
  it("answers a request", async () => {
    const { client } = muxPair({ onServerOpen: (open) => echoDispatcher().dispatch(open, "session") });
    expect(await call(client, corePing, {})).toEqual({ uptimeMs: 7 });
    expect(client.streamCount).toBe(0);
  });

  it("ends an answered request on both sides without an error, and drops what comes after the answer", async () => {
    const ends: unknown[] = [];
    const { client, server, fatal } = muxPair({
      onServerOpen: (open) => {
        const stream = open.accept();
        void stream.closed.then((error) => ends.push(error));
        stream.sendReply({ uptimeMs: 7 });
        void stream.write(new Uint8Array(100_000)).then(() => stream.end());
      },
    });
    expect(await call(client, corePing, {})).toEqual({ uptimeMs: 7 });
    expect(client.streamCount).toBe(0);
    await client.ping();
    expect([ends, server.streamCount, fatal]).toEqual([[undefined], 0, []]);
  });

  it("carries replies larger than one frame", async () => {
    const { client } = muxPair({ onServerOpen: (open) => echoDispatcher().dispatch(open, "session") });
    const listing = await call(client, filesList, { path: "/" });
    expect(listing.entries.length).toBe(5000);
  });

  it("echoes more than a window of data in order, then the exit event", async () => {
    const { client } = muxPair({ onServerOpen: (open) => echoDispatcher().dispatch(open, "session") });
    const channel = await openChannel(client, processRun, { argv: ["cat"], timeoutMs: 1000 });
    const sent = new Uint8Array(3 * STREAM_WINDOW_BYTES).map((_, index) => index % 251);
    const writing = channel.stream.write(sent).then(() => channel.stream.end());
    const received: number[] = [];
    let exitCode: number | null = null;
    for await (const item of channel.items()) {
      if (item.kind === "data") for (const byte of item.bytes) received.push(byte);
      else exitCode = item.value.exitCode;
    }
    await writing;
    expect(received.length).toBe(sent.length);
    expect(received.every((byte, index) => byte === index % 251)).toBe(true);
    expect(exitCode).toBe(0);
    expect(client.streamCount).toBe(0);
  });

  it("stops a writer at the window until the reader reads", async () => {
    const { client } = muxPair({ onServerOpen: (open) => open.accept().sendReply({ pid: 1 }) });
    const channel = await openChannel(client, processRun, { argv: ["sleep"], timeoutMs: 1000 });
    let isDone = false;
    const write = channel.stream.write(new Uint8Array(STREAM_WINDOW_BYTES + 1)).then(() => {
      isDone = true;
    });
    await client.ping();
    expect(isDone).toBe(false);
    channel.stream.reset();
    await expect(write).rejects.toMatchObject({ code: "stream.reset" });
  });

  it("refuses names not declared for the caller, unknown names and bad parameters with their codes", async () => {
    const { client } = muxPair({ onServerOpen: (open) => echoDispatcher().dispatch(open, "preview") });
    await expect(call(client, corePing, {})).rejects.toMatchObject({ code: "auth.forbidden" });
    const second = muxPair({ onServerOpen: (open) => echoDispatcher().dispatch(open, "session") });
    await expect(second.client.open("core.nothing", {}).reply).rejects.toMatchObject({
      code: "link.too_old",
    });
    await expect(second.client.open("files.list", { path: 5 }).reply).rejects.toMatchObject({
      code: "request.invalid",
      details: { field: "path" },
    });
  });

  it("ends every stream with the reason when the transport is lost", async () => {
    const { client, cut } = muxPair({ onServerOpen: (open) => void open.accept() });
    const pending = call(client, corePing, {});
    cut(new AtollError("link.lost"));
    await expect(pending).rejects.toMatchObject({ code: "link.lost" });
  });

  it("limits the streams of a connection", async () => {
    const { client } = muxPair({ maxStreams: 2, onServerOpen: (open) => void open.accept() });
    client.open("core.ping", {});
    client.open("core.ping", {});
    expect(() => client.open("core.ping", {})).toThrow(
      expect.objectContaining({ code: "link.stream_limit" }),
    );
  });

  it("treats garbage as fatal to the connection only", async () => {
    const { server, fatal } = muxPair();
    server.receive(new Uint8Array([255, 1, 2, 3, 4, 5, 6, 7, 8]));
    expect(fatal.map((error) => error.code)).toEqual(["link.protocol"]);
  });

  it("hands items to a consumer at once, one under way at a time, and ends as the stream does", async () => {
    const taken: number[] = [];
    const gate = Promise.withResolvers<void>();
    let consumed: Promise<void> | undefined;
    const { client, server } = muxPair({
      onServerOpen: (open) => {
        const stream = open.accept();
        stream.sendReply({});
        consumed = stream.consume((item) => {
          if (item.kind === "data") taken.push(item.bytes[0] ?? 0);
          return taken.length === 2 ? gate.promise : undefined;
        });
      },
    });
    const stream = client.open("any", {});
    await stream.reply;
    for (const byte of [1, 2, 3]) stream.writeNow(new Uint8Array([byte]));
    await client.ping();
    expect(taken).toEqual([1, 2]);
    stream.end();
    gate.resolve();
    await consumed;
    expect(taken).toEqual([1, 2, 3]);
    server.lost(new AtollError("link.lost"));
  });

  it("ends a consumer that fails, at once or later, and one whose stream is lost", async () => {
    const fail = () => {
      throw new AtollError("request.invalid");
    };
    const cases: [() => Promise<void> | undefined, string][] = [
      [fail, "request.invalid"],
      [() => Promise.resolve().then(fail), "request.invalid"],
      [() => undefined, "link.lost"],
    ];
    for (const [take, code] of cases) {
      let consumed: Promise<void> = Promise.resolve();
      const { client, server, fatal } = muxPair({
        onServerOpen: (open) => {
          const stream = open.accept();
          stream.sendReply({});
          consumed = stream.consume(take);
          consumed.catch(() => {});
        },
      });
      const stream = client.open("any", {});
      await stream.reply;
      stream.writeNow(new Uint8Array([1]));
      await client.ping();
      server.lost(new AtollError("link.lost"));
      await expect(consumed).rejects.toMatchObject({ code });
      expect(fatal).toEqual([]);
    }
  });

  it("refuses to write more at once than fits the window", async () => {
    const { client } = muxPair({ onServerOpen: (open) => void open.accept() });
    const stream = client.open("any", {});
    expect(() => stream.writeNow(new Uint8Array(STREAM_WINDOW_BYTES + 1))).toThrow(RangeError);
  });

  it("relays a channel through a hop with data, events and both ends", async () => {
    const guest = muxPair({ onServerOpen: (open) => echoDispatcher().dispatch(open, "session") });
    const hop = muxPair({ onServerOpen: (open) => relayStream(open, guest.client) });
    const channel = await openChannel(hop.client, processRun, { argv: ["cat"], timeoutMs: 1000 });
    await channel.stream.write(new Uint8Array([1, 2, 3]));
    channel.stream.end();
    const items = [];
    for await (const item of channel.items()) items.push(item);
    expect(items).toEqual([
      { kind: "data", bytes: new Uint8Array([1, 2, 3]), isSecondary: false },
      { kind: "event", value: { type: "exit", exitCode: 0, signal: null, isTimedOut: false } },
    ]);
    expect([
      hop.client.streamCount,
      hop.server.streamCount,
      guest.client.streamCount,
      guest.server.streamCount,
    ]).toEqual([0, 0, 0, 0]);
  });

  it("tells the far side of a relay when the guest's link is lost", async () => {
    const guest = muxPair({ onServerOpen: (open) => void open.accept() });
    const hop = muxPair({ onServerOpen: (open) => relayStream(open, guest.client) });
    const pending = openChannel(hop.client, terminalAttach, { terminalId: "a" });
    await hop.client.ping();
    guest.cut(new AtollError("link.lost"));
    await expect(pending).rejects.toMatchObject({ code: "link.lost" });
  });
});
