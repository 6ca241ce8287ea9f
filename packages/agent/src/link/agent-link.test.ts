import { ManualClock } from "@atoll/base/manual-clock";
import { call } from "@atoll/protocol/call";
import { Dispatcher } from "@atoll/protocol/dispatcher";
import { encodeFrame, FrameKind } from "@atoll/protocol/frame";
import { encodeJson } from "@atoll/protocol/json-payload";
import { FIRST_LINK_TOKEN, type LinkHello, linkHelloAnswer } from "@atoll/protocol/link-handshake";
import { corePing } from "@atoll/protocol/messages/core";
import { Mux } from "@atoll/protocol/mux";
import { describe, expect, it } from "vitest";
import { MemoryGuestSystem } from "../system/memory-guest-system.ts";
import { AgentLink } from "./agent-link.ts";
import type { BytePipe, BytePipeListener } from "./byte-pipe.ts";
import { takeIdentity } from "./take-identity.ts";

const TOKENS = ["11", "22", "33", "44"].map((byte) => byte.repeat(32));

/** Both ends of a raw connection, without a VM: the agent's end is real, the host's bytes are made here. */
function testLink(options: { room?: () => boolean } = {}) {
  const clock = new ManualClock();
  const system = new MemoryGuestSystem("/");
  const lines: string[] = [];
  const dispatcher = new Dispatcher(() => {});
  dispatcher.onRequest(corePing, () => ({ uptimeMs: 7 }));
  const opened: string[] = [];
  const link = new AgentLink({
    clock,
    log: (line) => void lines.push(line),
    greet: (hello) =>
      takeIdentity(hello, {
        system,
        clock,
        agentVersion: "1",
        log: (line) => void lines.push(line),
      }),
    onOpen: (incoming) => {
      opened.push(incoming.name);
      dispatcher.dispatch(incoming, "host");
    },
  });
  let sent = Buffer.alloc(0);
  let onSent: (() => void) | undefined;
  const pipe: BytePipe = {
    canReturn: true,
    write: (bytes) => {
      sent = Buffer.concat([sent, bytes]);
      onSent?.();
      return options.room?.() ?? true;
    },
    discard: () => {},
    close: () => {},
  };
  const listener: BytePipeListener = link.listen(pipe);
  return {
    clock,
    system,
    lines,
    opened,
    link,
    listener,
    take: () => {
      const bytes = sent;
      sent = Buffer.alloc(0);
      return bytes;
    },
    onSent: (run: (() => void) | undefined) => {
      onSent = run;
    },
  };
}

type TestLink = ReturnType<typeof testLink>;

function hello(change: Partial<LinkHello> = {}): LinkHello {
  return {
    type: "host",
    generation: { oldest: 1, newest: 9 },
    reason: "create",
    nonce: "ab".repeat(32),
    linkToken: TOKENS[0] as string,
    hostTimeMs: 1_700_000_123_456,
    entropy: "cd".repeat(32),
    identity: { workspaceId: "w", hostname: "my-machine", machineId: "ef".repeat(16) },
    egress: "off",
    ...change,
  };
}

function greeting(token: string, change: Partial<LinkHello> = {}): Buffer {
  const payload = encodeJson(hello(change));
  return Buffer.concat([
    Buffer.from(token, "hex"),
    encodeFrame({ kind: FrameKind.hello, flags: 0, streamId: 0, payload }),
  ]);
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

/** The host's mux behind the nonce of an answer. */
async function join(test: TestLink, nonce = "ab".repeat(32)): Promise<Mux> {
  await settled();
  const bytes = test.take();
  const at = bytes.indexOf(Buffer.from(nonce, "hex"));
  expect(at).toBeGreaterThanOrEqual(0);
  const length = bytes.readUInt16BE(at + 34);
  const end = at + 40 + length;
  linkHelloAnswer.parse(JSON.parse(bytes.toString("utf8", at + 40, end)));
  const mux = new Mux({
    side: "client",
    maxStreams: 16,
    onOpen: () => {},
    onFatal: () => {},
    send: (frame) => {
      queueMicrotask(() => test.listener.onBytes(frame));
      return true;
    },
  });
  mux.receive(bytes.subarray(end));
  test.onSent(() => mux.receive(test.take()));
  return mux;
}

describe("the guest's end of the link", () => {
  it("takes entropy, clock and names, then lets disk and programs go on, before it answers", async () => {
    const test = testLink();
    test.listener.onBytes(greeting(FIRST_LINK_TOKEN));
    await settled();
    expect(test.system.calls).toEqual([
      ...["reseed 32", "clock 1700000123456"],
      ...[`names my-machine ${"ef".repeat(16)}`, "thaw"],
    ]);
    const bytes = test.take();
    expect(bytes.subarray(0, 32)).toEqual(Buffer.from("ab".repeat(32), "hex"));
    expect(JSON.parse(bytes.toString("utf8", 40))).toEqual({
      type: "agent",
      generation: 1,
      agentVersion: "1",
      bootId: test.system.bootId,
      ...{ isReseeded: true, isNamed: true, isThawed: true },
      clockOffsetMs: -123_456,
    });
  });

  it("lets nothing go on that was told the time late, until the host believes it", async () => {
    const test = testLink();
    test.system.frozenForMs = 501;
    test.listener.onBytes(greeting(FIRST_LINK_TOKEN, { holds: true }));
    await settled();
    expect(test.system.calls).not.toContain("thaw");
    expect(JSON.parse(test.take().toString("utf8", 40))).not.toHaveProperty("isThawed");
    const second = { holds: true, reason: "reconnect", nonce: "01".repeat(32) } as const;
    test.listener.onBytes(greeting(TOKENS[0] as string, second));
    await settled();
    expect(test.system.calls).not.toContain("thaw");
  });

  it.each([
    ["it was told at once", { holds: true }, 500],
    ["nothing is frozen", { holds: true }, undefined],
    ["the host does not wait for that", {}, 60_000],
  ] as const)("lets everything go on when %s", async (_when, wish, frozenForMs) => {
    const test = testLink();
    test.system.frozenForMs = frozenForMs;
    test.listener.onBytes(greeting(FIRST_LINK_TOKEN, wish));
    await settled();
    expect(test.system.calls.at(-1)).toBe("thaw");
    expect(JSON.parse(test.take().toString("utf8", 40))).toMatchObject({ isThawed: true });
  });

  it("says so when the kernel took no entropy", async () => {
    const test = testLink();
    test.system.canReseed = false;
    test.listener.onBytes(greeting(FIRST_LINK_TOKEN));
    await settled();
    expect(JSON.parse(test.take().toString("utf8", 40))).toMatchObject({ isReseeded: false });
  });

  it("says so when its disk does not go on", async () => {
    const test = testLink();
    test.system.canThaw = false;
    test.listener.onBytes(greeting(FIRST_LINK_TOKEN));
    await settled();
    expect(JSON.parse(test.take().toString("utf8", 40))).toMatchObject({ isNamed: true, isThawed: false });
  });

  it("keeps its name at a reconnect, and its clock when that is right", async () => {
    const test = testLink();
    test.listener.onBytes(
      greeting(FIRST_LINK_TOKEN, { reason: "reconnect", hostTimeMs: test.clock.now() + 20 }),
    );
    await join(test);
    expect(test.system.calls).toEqual(["reseed 32", "thaw"]);
  });

  it("finds the token behind garbage at every split of the bytes", async () => {
    const bytes = Buffer.concat([Buffer.from("garbage atoll link: a atoll"), greeting(FIRST_LINK_TOKEN)]);
    for (let at = 0; at <= bytes.length; at++) {
      const test = testLink();
      if (at > 0) test.listener.onBytes(bytes.subarray(0, at));
      if (at < bytes.length) test.listener.onBytes(bytes.subarray(at));
      expect(await call(await join(test), corePing, {})).toEqual({ uptimeMs: 7 });
    }
  });

  it("finds the token byte by byte, with pauses longer than it holds bytes back", async () => {
    const test = testLink();
    for (const byte of greeting(FIRST_LINK_TOKEN)) {
      test.listener.onBytes(Uint8Array.of(byte));
      test.clock.advance(1000);
    }
    expect(await call(await join(test), corePing, {})).toEqual({ uptimeMs: 7 });
  });

  it("starts anew at a token in mid-session, in mid-frame and at every split, and runs nothing of what was cut", async () => {
    const halfFrame = encodeFrame({
      kind: FrameKind.open,
      flags: 0,
      streamId: 91,
      payload: encodeJson({ name: "core.ping", params: { x: "y".repeat(64) } }),
    }).subarray(0, 30);
    const second = Buffer.concat([
      halfFrame,
      greeting(TOKENS[0] as string, { linkToken: TOKENS[1] as string, nonce: "01".repeat(32) }),
    ]);
    for (let at = 1; at < second.length; at++) {
      const test = testLink();
      test.listener.onBytes(greeting(FIRST_LINK_TOKEN));
      const first = await join(test);
      await call(first, corePing, {});
      const agentMux = test.link.mux;
      test.onSent(undefined);
      test.listener.onBytes(second.subarray(0, at));
      test.listener.onBytes(second.subarray(at));
      const mux = await join(test, "01".repeat(32));
      expect(agentMux?.isClosed).toBe(true);
      expect(await call(mux, corePing, {})).toEqual({ uptimeMs: 7 });
      expect(test.opened).toEqual(["core.ping", "core.ping"]);
    }
  });

  it("lets bytes that only look like a token's beginning through after a moment", async () => {
    const test = testLink();
    test.listener.onBytes(greeting(FIRST_LINK_TOKEN));
    const mux = await join(test);
    const pending = mux.open("core.ping", { text: "x" });
    await settled();
    // A frame that ends in the first byte of the next token.
    const ping = encodeFrame({
      kind: FrameKind.ping,
      flags: 0,
      streamId: 0,
      payload: Uint8Array.of(0, 0, 0, 0x11),
    });
    test.onSent(undefined);
    await pending.reply;
    test.take();
    test.listener.onBytes(ping);
    expect(test.take().length).toBe(0);
    test.clock.advance(5);
    expect(test.take()).toEqual(
      Buffer.from(
        encodeFrame({ kind: FrameKind.pong, flags: 0, streamId: 0, payload: Uint8Array.of(0, 0, 0, 0x11) }),
      ),
    );
    expect(test.clock.pendingCount).toBe(0);
  });

  it("answers only the last of several HELLOs that waited for it", async () => {
    const test = testLink();
    test.listener.onBytes(
      Buffer.concat([
        greeting(FIRST_LINK_TOKEN, { nonce: "01".repeat(32) }),
        greeting(FIRST_LINK_TOKEN, { nonce: "02".repeat(32) }),
      ]),
    );
    const mux = await join(test, "02".repeat(32));
    expect(test.system.calls.filter((line) => line.startsWith("reseed"))).toHaveLength(1);
    expect(await call(mux, corePing, {})).toEqual({ uptimeMs: 7 });
  });

  it("survives any number of hosts, each with the token the one before gave", async () => {
    const test = testLink();
    let token = FIRST_LINK_TOKEN;
    for (let round = 0; round < 20; round++) {
      const next = TOKENS[round % TOKENS.length] as string;
      test.onSent(undefined);
      test.listener.onBytes(greeting(token, { linkToken: next }));
      const mux = await join(test);
      expect(await call(mux, corePing, {})).toEqual({ uptimeMs: 7 });
      if (round % 2 === 0) {
        const lost = test.link.mux?.open("egress.connect", {});
        test.listener.onDisconnect();
        await expect(lost?.reply).rejects.toMatchObject({ code: "link.lost" });
        expect(test.link.mux).toBeUndefined();
      }
      token = next;
    }
  });

  it("ignores an old token, a HELLO out of shape and a frame that is none, and still takes the next token", async () => {
    const test = testLink();
    test.listener.onBytes(greeting(FIRST_LINK_TOKEN, { entropy: "short" }));
    test.listener.onBytes(
      Buffer.concat([Buffer.from(FIRST_LINK_TOKEN, "hex"), Buffer.from("no frame at all")]),
    );
    await settled();
    expect(test.lines).toHaveLength(2);
    test.listener.onBytes(greeting(FIRST_LINK_TOKEN));
    const mux = await join(test);
    test.listener.onBytes(greeting(FIRST_LINK_TOKEN, { nonce: "09".repeat(32) }));
    // Of a live link those bytes are no frames: it breaks, and the token that counts mends it.
    await settled();
    expect(mux.isClosed || test.link.mux === undefined).toBe(true);
    test.onSent(undefined);
    test.listener.onBytes(greeting(TOKENS[0] as string));
    expect(await call(await join(test), corePing, {})).toEqual({ uptimeMs: 7 });
  });

  it("gives a second connection the link and closes the first", async () => {
    const test = testLink();
    test.listener.onBytes(greeting(FIRST_LINK_TOKEN));
    await join(test);
    const before = test.link.mux;
    let sent = Buffer.alloc(0);
    const other = test.link.listen({
      canReturn: false,
      write: (bytes) => {
        sent = Buffer.concat([sent, bytes]);
        return true;
      },
      discard: () => {},
      close: () => {},
    });
    other.onBytes(greeting(TOKENS[0] as string, { reason: "reconnect" }));
    await settled();
    expect(sent.length).toBeGreaterThan(40);
    expect(before?.isClosed).toBe(true);
    expect(test.link.mux?.isClosed).toBe(false);
    other.onDisconnect();
    expect(test.link.mux).toBeUndefined();
  });
});
