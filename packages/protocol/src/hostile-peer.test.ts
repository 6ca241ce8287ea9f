/** A peer that speaks the frames but none of the manners, for as long as it likes, to somebody whose other side reads nothing. */
import { describe, expect, it } from "vitest";
import type { AtollError } from "./atoll-error.ts";
import { call } from "./call.ts";
import { Dispatcher } from "./dispatcher.ts";
import { encodeFrame, type Frame, FrameFlag, FrameKind, FrameReader } from "./frame.ts";
import type { StreamItem } from "./item-queue.ts";
import { encodeJson } from "./json-payload.ts";
import {
  CONTROL_QUEUE_MAX_BYTES,
  DATA_PAYLOAD_MAX_BYTES,
  FRAME_PAYLOAD_MAX_BYTES,
  MESSAGE_MAX_BYTES,
  MESSAGES_HELD_MAX_BYTES,
  RESET_MAX_BYTES,
  STREAM_ITEMS_MAX,
  STREAM_QUEUE_MAX_FRAMES,
  STREAM_WINDOW_BYTES,
} from "./limits.ts";
import { corePing } from "./messages/core.ts";
import { egressConnect } from "./messages/egress.ts";
import { type IncomingOpen, Mux } from "./mux.ts";
import type { MuxStream } from "./mux-stream.ts";
import { relayStream } from "./relay-stream.ts";

const LONG = 2_000_000;
const NOTHING = new Uint8Array(0);
const BYTE = new Uint8Array([65]);

/** A mux whose peer is this test, which reads when it wants to. */
function end(side: "client" | "server", onOpen: (open: IncomingOpen) => void = () => {}) {
  const sent: Uint8Array[] = [];
  const fatal: AtollError[] = [];
  let isReading = true;
  const mux = new Mux({
    side,
    maxStreams: 64,
    send: (bytes) => {
      sent.push(bytes);
      return isReading;
    },
    onOpen,
    onFatal: (error) => fatal.push(error),
  });
  const encode = (frame: Partial<Frame> & Pick<Frame, "kind">) =>
    encodeFrame({ flags: 0, streamId: 1, payload: NOTHING, ...frame });
  const receive = (frame: Partial<Frame> & Pick<Frame, "kind">) => mux.receive(encode(frame));
  return {
    mux,
    sent,
    fatal,
    /** The connection's fate after one kind of frame, over and over. */
    flood: (frame: Partial<Frame> & Pick<Frame, "kind">, count = LONG) => {
      const bytes = encode(frame);
      let received = 0;
      for (; received < count && !mux.isClosed; received += 1) mux.receive(bytes);
      return received;
    },
    receive,
    open: (name: string, streamId = 1) =>
      receive({ kind: FrameKind.open, streamId, payload: encodeJson({ name, params: {} }) }),
    stopReading: () => {
      isReading = false;
    },
    sentBytes: () => sent.reduce((sum, bytes) => sum + bytes.length, 0),
    /** Everything that waited, as frames. */
    drain: () => {
      isReading = true;
      mux.drained();
      return new FrameReader().push(Buffer.concat(sent));
    },
  };
}

const codes = (errors: AtollError[]) => errors.map(({ code }) => code);

describe("a stream whose reader does not read", () => {
  function stalled(isPlain?: boolean) {
    let stream: MuxStream | undefined;
    const peer = end("server", (open) => {
      stream = open.accept({ isPlain });
    });
    peer.open("any");
    if (stream === undefined) throw new Error("not opened");
    return { ...peer, stream };
  }

  /** Until the stream ends, however it does. */
  async function read(stream: MuxStream): Promise<StreamItem[]> {
    const items: StreamItem[] = [];
    try {
      for await (const item of stream) items.push(item);
    } catch (error) {
      expect(error).toMatchObject({ code: "link.protocol" });
    }
    return items;
  }

  it.each([
    ["empty data", { kind: FrameKind.data }],
    ["empty fragments of an event", { kind: FrameKind.event, flags: FrameFlag.more }],
    ["empty fragments of a reply", { kind: FrameKind.reply, flags: FrameFlag.more }],
  ])("takes no %s", (_what, frame) => {
    const { flood, fatal } = stalled();
    expect(flood(frame)).toBe(1);
    expect(codes(fatal)).toEqual(["link.protocol"]);
  });

  it("holds a window of single bytes as a few large items, and its sender after that", async () => {
    const { flood, receive, stream, fatal } = stalled(true);
    expect(flood({ kind: FrameKind.data, payload: BYTE }, STREAM_WINDOW_BYTES)).toBe(STREAM_WINDOW_BYTES);
    const reading = read(stream);
    receive({ kind: FrameKind.data, payload: BYTE });
    expect(codes(fatal)).toEqual(["link.protocol"]);
    const items = await reading;
    expect(items.length).toBe(STREAM_WINDOW_BYTES / DATA_PAYLOAD_MAX_BYTES);
    expect(items.every((item) => item.kind === "data" && item.bytes.every((byte) => byte === 65))).toBe(true);
  });

  it("keeps small data without the large read it came in", async () => {
    const { mux, stream, receive } = stalled();
    const large = new Uint8Array(64 * 1024);
    large.set(encodeFrame({ kind: FrameKind.data, flags: 0, streamId: 1, payload: BYTE }));
    mux.receive(large.subarray(0, 9));
    receive({ kind: FrameKind.end });
    const [item] = await read(stream);
    expect(item?.kind === "data" && item.bytes.buffer.byteLength).toBe(1);
  });

  it("takes no events and no second output where the message has none", () => {
    const events = stalled(true);
    expect(events.flood({ kind: FrameKind.event, payload: encodeJson({}) })).toBe(1);
    const outputs = stalled(true);
    expect(outputs.flood({ kind: FrameKind.data, flags: FrameFlag.secondary, payload: BYTE })).toBe(1);
    expect(codes([...events.fatal, ...outputs.fatal])).toEqual(["link.protocol", "link.protocol"]);
  });

  it("holds a bounded number of tiny events", () => {
    const { flood, fatal } = stalled();
    expect(flood({ kind: FrameKind.event, payload: encodeJson(1) })).toBe(STREAM_ITEMS_MAX + 1);
    expect(codes(fatal)).toEqual(["link.protocol"]);
  });

  it("lets in one event longer than the window, and holds the sender of a second until the first is read", async () => {
    const { flood, receive, stream, sentBytes, fatal } = stalled();
    const fragment = { kind: FrameKind.event, payload: new Uint8Array(DATA_PAYLOAD_MAX_BYTES).fill(32) };
    const eachWindow = STREAM_WINDOW_BYTES / DATA_PAYLOAD_MAX_BYTES;
    flood({ ...fragment, flags: FrameFlag.more }, 4 * eachWindow);
    receive({ kind: FrameKind.event, payload: encodeJson("first") });
    const credited = sentBytes();
    flood({ ...fragment, flags: FrameFlag.more }, eachWindow - 1);
    expect(sentBytes()).toBe(credited);
    expect(fatal).toEqual([]);
    const { value } = await stream[Symbol.asyncIterator]().next();
    expect(value).toEqual({ kind: "event", value: "first" });
    expect(sentBytes()).toBeGreaterThan(credited);
  });

  it("cuts a peer that sends a second reply", () => {
    const { mux, receive, fatal } = end("client");
    const { streamId } = mux.open("any", {});
    receive({ kind: FrameKind.reply, streamId, payload: encodeJson({ ok: 1 }) });
    receive({ kind: FrameKind.reply, streamId, payload: encodeJson({ ok: 1 }) });
    expect(codes(fatal)).toEqual(["link.protocol"]);
  });

  it("puts together so many half messages and no more, and counts again what is over", () => {
    const { mux, flood, fatal } = end("client");
    const flags = FrameFlag.more;
    const half = { kind: FrameKind.reply, flags, payload: new Uint8Array(FRAME_PAYLOAD_MAX_BYTES).fill(32) };
    const framesEach = Math.floor(MESSAGE_MAX_BYTES / FRAME_PAYLOAD_MAX_BYTES);
    for (let round = 0; round < 20; round += 1) {
      const stream = mux.open("any", {});
      stream.reply.catch(() => {});
      flood({ ...half, streamId: stream.streamId }, framesEach);
      stream.reset();
    }
    expect(fatal).toEqual([]);
    let heldBytes = 0;
    while (!mux.isClosed) {
      const { streamId, reply } = mux.open("any", {});
      reply.catch(() => {});
      heldBytes += FRAME_PAYLOAD_MAX_BYTES * flood({ ...half, streamId }, framesEach);
    }
    expect(codes(fatal)).toEqual(["link.protocol"]);
    expect(heldBytes).toBeLessThanOrEqual(MESSAGES_HELD_MAX_BYTES + FRAME_PAYLOAD_MAX_BYTES);
  });

  it("takes a message in fragments of one byte", async () => {
    const { mux, receive, fatal } = end("client");
    const answer = call(mux, corePing, {});
    const message = encodeJson({ ok: { uptimeMs: 7, filler: "x".repeat(100_000) } });
    for (let at = 0; at < message.length; at += 1) {
      const flags = at + 1 < message.length ? FrameFlag.more : 0;
      receive({ kind: FrameKind.reply, flags, streamId: 3, payload: message.subarray(at, at + 1) });
    }
    expect(await answer).toEqual({ uptimeMs: 7 });
    expect(fatal).toEqual([]);
  });

  it("waits for its handler with a bounded number of frames", () => {
    const { open, flood, fatal } = end("server", () => {});
    open("any");
    expect(flood({ kind: FrameKind.credit, payload: new Uint8Array(4) })).toBeLessThan(10_000);
    expect(codes(fatal)).toEqual(["link.protocol"]);
  });
});

it("serves bytes only where a message declares nothing else", () => {
  const dispatcher = new Dispatcher((error) => {
    throw error;
  });
  dispatcher.onChannel(egressConnect, () => Promise.withResolvers<void>().promise);
  dispatcher.onRequest(corePing, () => Promise.withResolvers<never>().promise);
  for (const [name, params] of [
    ["egress.connect", { host: "a.example", port: 443 }],
    ["core.ping", {}],
  ] as const) {
    const peer = end("server", (open) =>
      dispatcher.dispatch(open, name === "core.ping" ? "session" : "guest"),
    );
    peer.receive({ kind: FrameKind.open, payload: encodeJson({ name, params }) });
    peer.receive({ kind: FrameKind.data, payload: BYTE });
    expect(peer.fatal).toEqual([]);
    peer.receive({ kind: FrameKind.event, payload: encodeJson({}) });
    expect(codes(peer.fatal)).toEqual(["link.protocol"]);
  }
});

describe("a hop between a peer that floods and one that does not read", () => {
  /** The guest floods, the browser does not read. */
  function hop() {
    const guest = end("client");
    const browser = end("server", (open) => relayStream(open, guest.mux));
    browser.open("any");
    const toBrowser = (frame: Partial<Frame> & Pick<Frame, "kind">, count = LONG) =>
      guest.flood({ ...frame, streamId: 3 }, count);
    // One frame that the transport did not want more after.
    browser.stopReading();
    toBrowser({ kind: FrameKind.credit, payload: new Uint8Array(4) }, 1);
    return { guest, browser, toBrowser };
  }

  it.each<[string, Partial<Frame> & Pick<Frame, "kind">, number]>([
    ["empty data", { kind: FrameKind.data }, 1],
    ["empty events", { kind: FrameKind.event, flags: FrameFlag.more }, 1],
    ["empty replies", { kind: FrameKind.reply, flags: FrameFlag.more }, 1],
    ["replies", { kind: FrameKind.reply, payload: encodeJson({ ok: 1 }) }, 2],
    ["ends", { kind: FrameKind.end }, 2],
    ["ends with a payload", { kind: FrameKind.end, payload: new Uint8Array(60_000) }, 1],
    [
      "resets with a large payload",
      { kind: FrameKind.reset, payload: new Uint8Array(RESET_MAX_BYTES + 1) },
      1,
    ],
    ["hellos", { kind: FrameKind.hello, payload: new Uint8Array(60_000) }, 1],
    ["pings", { kind: FrameKind.ping, payload: new Uint8Array(60_000) }, 1],
    ["events of one byte", { kind: FrameKind.event, payload: BYTE }, STREAM_QUEUE_MAX_FRAMES + 1],
  ])("cuts the peer that sends %s, not the other", (_what, frame, count) => {
    const { guest, browser, toBrowser } = hop();
    expect(toBrowser(frame)).toBe(count);
    expect(codes(guest.fatal)).toEqual(["link.protocol"]);
    expect(browser.fatal).toEqual([]);
  });

  it("takes replies from the answering side only", () => {
    const { guest, browser } = hop();
    browser.receive({ kind: FrameKind.reply, payload: encodeJson({ ok: 1 }) });
    expect(codes(browser.fatal)).toEqual(["link.protocol"]);
    expect(guest.fatal).toEqual([]);
  });

  it("holds a window of single bytes in hardly more than those, and passes all of them on in order", () => {
    const { guest, browser, toBrowser } = hop();
    toBrowser({ kind: FrameKind.data, payload: BYTE }, STREAM_WINDOW_BYTES);
    toBrowser({ kind: FrameKind.end }, 1);
    const before = browser.sentBytes();
    const frames = browser.drain();
    expect(guest.fatal).toEqual([]);
    expect(browser.sentBytes() - before).toBeLessThan(STREAM_WINDOW_BYTES + 1024);
    const bytes = frames.reduce(
      (sum, frame) => sum + (frame.kind === FrameKind.data ? frame.payload.length : 0),
      0,
    );
    expect(bytes).toBe(STREAM_WINDOW_BYTES);
    expect(frames.at(-1)?.kind).toBe(FrameKind.end);
  });

  it("does not join bytes of the two outputs, nor over an event", () => {
    const { browser, toBrowser } = hop();
    toBrowser({ kind: FrameKind.data, payload: BYTE }, 3);
    toBrowser({ kind: FrameKind.data, flags: FrameFlag.secondary, payload: BYTE }, 2);
    toBrowser({ kind: FrameKind.event, payload: encodeJson({}) }, 1);
    toBrowser({ kind: FrameKind.data, flags: FrameFlag.secondary, payload: BYTE }, 1);
    const shapes = browser.drain().map(({ kind, flags, payload }) => [kind, flags, payload.length]);
    expect(shapes.slice(-4)).toEqual([
      [FrameKind.data, 0, 3],
      [FrameKind.data, FrameFlag.secondary, 2],
      [FrameKind.event, 0, 2],
      [FrameKind.data, FrameFlag.secondary, 1],
    ]);
  });

  it("cuts the reader for whom too many replies wait, and holds no more than those", () => {
    const { guest, browser } = hop();
    let heldBytes = 0;
    for (let streamId = 3; !browser.mux.isClosed; streamId += 2) {
      browser.open("any", streamId);
      const reply = { kind: FrameKind.reply, flags: FrameFlag.more, streamId: streamId + 2 };
      const payload = new Uint8Array(FRAME_PAYLOAD_MAX_BYTES);
      for (let count = 0; count < 60 && !browser.mux.isClosed; count += 1) {
        guest.receive({ ...reply, payload });
        heldBytes += payload.length;
      }
    }
    expect(codes(browser.fatal)).toEqual(["link.protocol"]);
    expect(guest.fatal).toEqual([]);
    expect(heldBytes).toBeLessThan(CONTROL_QUEUE_MAX_BYTES + 2 * FRAME_PAYLOAD_MAX_BYTES);
  });

  it("cuts the reader that gives credit for what it has not read", () => {
    const { guest, browser, toBrowser } = hop();
    const payload = new Uint8Array(DATA_PAYLOAD_MAX_BYTES);
    const credit = new Uint8Array(4).fill(255);
    for (let count = 0; count < 1000 && !browser.mux.isClosed; count += 1) {
      toBrowser({ kind: FrameKind.data, payload }, 1);
      browser.receive({ kind: FrameKind.credit, payload: credit });
    }
    expect(codes(browser.fatal)).toEqual(["link.protocol"]);
    expect(guest.fatal).toEqual([]);
  });
});

it("answers no ping that carries more than its number", () => {
  const { flood, fatal } = end("server");
  expect(flood({ kind: FrameKind.ping, streamId: 0, payload: new Uint8Array(60_000) })).toBe(1);
  expect(codes(fatal)).toEqual(["link.protocol"]);
});
