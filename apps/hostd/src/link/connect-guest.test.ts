import { duplexPair } from "node:stream";
import { ManualClock } from "@atoll/base/manual-clock";
import { encodeFrame, FrameKind } from "@atoll/protocol/frame";
import { decodeJson, encodeJson } from "@atoll/protocol/json-payload";
import { FRAME_HEADER_BYTES } from "@atoll/protocol/limits";
import { type LinkHello, type LinkHelloAnswer, linkHello } from "@atoll/protocol/link-handshake";
import { describe, expect, it } from "vitest";
import { type ConnectGuestOptions, connectGuest } from "./connect-guest.ts";

const FIRST = "11".repeat(32);
const OWN = "22".repeat(32);

/** Host under test, and the guest's end as raw bytes. */
function start(wishes: Partial<ConnectGuestOptions> = {}) {
  const clock = new ManualClock();
  const [duplex, guest] = duplexPair();
  const received: Buffer[] = [];
  let wake = () => {};
  guest.on("data", (chunk: Buffer) => {
    received.push(chunk);
    wake();
  });
  const result = connectGuest({
    duplex,
    expectedToken: FIRST,
    linkToken: OWN,
    reason: "create",
    identity: { workspaceId: "w", hostname: "h", machineId: "ab".repeat(16) },
    egress: "off",
    timeoutMs: 60_000,
    clock,
    ...wishes,
  });
  result.catch(() => {});
  let taken = 0;
  return {
    clock,
    guest,
    duplex,
    result,
    /** The next token and HELLO that the host wrote. */
    async hello(): Promise<{ token: string; hello: LinkHello }> {
      for (;;) {
        const bytes = Buffer.concat(received).subarray(taken);
        if (bytes.length >= 32 + FRAME_HEADER_BYTES) {
          const end = 32 + FRAME_HEADER_BYTES + bytes.readUInt16BE(34);
          if (bytes.length >= end) {
            taken += end;
            const payload = bytes.subarray(32 + FRAME_HEADER_BYTES, end);
            return {
              token: bytes.subarray(0, 32).toString("hex"),
              hello: linkHello.parse(decodeJson(payload)),
            };
          }
        }
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
}

function answer(hello: LinkHello, wishes: Partial<LinkHelloAnswer> | Buffer = {}): Buffer {
  const good: LinkHelloAnswer = {
    type: "agent",
    generation: 1,
    agentVersion: "1",
    bootId: "b",
    isReseeded: true,
    clockOffsetMs: 0,
  };
  const payload = Buffer.isBuffer(wishes) ? new Uint8Array(wishes) : encodeJson({ ...good, ...wishes });
  const frame = encodeFrame({ kind: FrameKind.hello, flags: 0, streamId: 0, payload });
  return Buffer.concat([Buffer.from(hello.nonce, "hex"), frame]);
}

const settle = () => new Promise((resolve) => setImmediate(resolve));

it("drops what is left of an earlier life, at any chunk boundary, and keeps what follows the answer", async () => {
  const one = start();
  const { token, hello } = await one.hello();
  expect(token).toBe(FIRST);
  expect(hello).toMatchObject({
    type: "host",
    reason: "create",
    linkToken: OWN,
    hostTimeMs: one.clock.now(),
  });
  const bytes = Buffer.concat([
    Buffer.alloc(70, 0x05),
    Buffer.from(hello.nonce, "hex").subarray(0, 9),
    answer(hello),
    Buffer.from("mux"),
  ]);
  for (const byte of bytes) one.guest.write(Buffer.from([byte]));
  const { answer: got, early } = await one.result;
  expect(got.isReseeded).toBe(true);
  const rest = Buffer.concat([Buffer.from(early), (one.duplex.read() as Buffer | null) ?? Buffer.alloc(0)]);
  expect(rest.toString()).toBe("mux".slice(0, rest.length));
});

it("gives every HELLO fresh entropy and a fresh nonce", async () => {
  const one = start({ expectedToken: OWN });
  const first = await one.hello();
  one.clock.advance(3000);
  const second = await one.hello();
  expect(second.hello.nonce).not.toBe(first.hello.nonce);
  expect(second.hello.entropy).not.toBe(first.hello.entropy);
});

describe("a late answer", () => {
  it("under an unchanged token is passed over for the newest", async () => {
    const one = start({ expectedToken: OWN, reason: "reconnect" });
    const first = await one.hello();
    one.clock.advance(3000);
    const second = await one.hello();
    one.guest.write(answer(first.hello, { bootId: "old" }));
    one.guest.write(answer(second.hello, { bootId: "new" }));
    expect((await one.result).answer.bootId).toBe("new");
  });

  it("to a HELLO that changed the token leads to one more with the new token", async () => {
    const one = start();
    const first = await one.hello();
    one.clock.advance(3000);
    const second = await one.hello();
    expect(second.token).toBe(FIRST);
    one.guest.write(answer(first.hello));
    const third = await one.hello();
    expect(third).toMatchObject({ token: OWN, hello: { reason: "reconnect" } });
    one.guest.write(answer(third.hello, { isReseeded: false, bootId: "third" }));
    expect((await one.result).answer).toMatchObject({ bootId: "third", isReseeded: true });
  });

  it("had a stale time, so the time is said again", async () => {
    const one = start();
    const first = await one.hello();
    one.clock.advance(1001);
    one.guest.write(answer(first.hello));
    const second = await one.hello();
    expect(second).toMatchObject({ token: OWN, hello: { reason: "reconnect", hostTimeMs: one.clock.now() } });
    one.clock.advance(1000);
    one.guest.write(answer(second.hello));
    await one.result;
  });
});

describe("is refused", () => {
  it.each<[string, Partial<LinkHelloAnswer> | Buffer, string]>([
    ["when it is no JSON", Buffer.from("{"), "link.protocol"],
    ["when it is of another shape", Buffer.from('{"type":"agent"}'), "link.protocol"],
    ["when nothing was reseeded", { isReseeded: false }, "link.protocol"],
    ["when the clock is behind", { clockOffsetMs: -1001 }, "link.protocol"],
    ["when the clock is ahead", { clockOffsetMs: 1e12 }, "link.protocol"],
    ["when its generation is unknown", { generation: 0 }, "link.too_old"],
  ])("%s", async (_name, wishes, code) => {
    const one = start();
    const { hello } = await one.hello();
    one.guest.write(answer(hello, wishes));
    await expect(one.result).rejects.toMatchObject({ code });
  });

  it("when something else comes behind the nonce", async () => {
    const one = start();
    const { hello } = await one.hello();
    one.guest.write(Buffer.concat([Buffer.from(hello.nonce, "hex"), Buffer.alloc(8, 3)]));
    await expect(one.result).rejects.toMatchObject({ code: "link.protocol" });
  });

  it("when it does not come in time, when the caller gives up, and when the stream closes", async () => {
    const late = start();
    await late.hello();
    late.clock.advance(60_000);
    await expect(late.result).rejects.toMatchObject({ code: "vm.agent_silent" });
    expect(late.clock.pendingCount).toBe(0);
    const abort = new AbortController();
    const given = start({ signal: abort.signal });
    abort.abort(new Error("enough"));
    await expect(given.result).rejects.toThrow("enough");
    const closed = start();
    closed.duplex.destroy();
    await expect(closed.result).rejects.toMatchObject({ code: "link.lost" });
  });
});

it("reads a flood that never holds the nonce without keeping it", async () => {
  const one = start();
  const { hello } = await one.hello();
  for (let round = 0; round < 100; round++) one.guest.write(Buffer.alloc(65_536, 7));
  await settle();
  one.guest.write(answer(hello));
  await one.result;
});
