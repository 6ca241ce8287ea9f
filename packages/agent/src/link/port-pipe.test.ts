import { expect, it } from "vitest";
import type { GuestNative, Port } from "../../native/guest-native.ts";
import { PortPipe } from "./port-pipe.ts";

/** A port as the addon offers it, with room that the test gives and bytes that it brings. */
function testPort() {
  let onReady: (isConnected: boolean) => void = () => {};
  const state = { room: 0, incoming: Buffer.alloc(0), isConnected: true, sent: "", events: [] as string[] };
  const native = {
    openPort: (_path: string, ready: (isConnected: boolean) => void) => {
      onReady = ready;
      return {} as Port;
    },
    readPort: (_port: Port, target: Uint8Array) => {
      if (state.incoming.length === 0) return state.isConnected ? -1 : 0;
      const count = state.incoming.copy(target, 0, 0, Math.min(3, state.incoming.length));
      state.incoming = state.incoming.subarray(count);
      return count;
    },
    writePort: (_port: Port, source: Uint8Array) => {
      const count = Math.min(state.room, source.length);
      if (count === 0) return -1;
      state.room -= count;
      state.sent += Buffer.from(source.subarray(0, count)).toString();
      return count;
    },
    closePort: () => {},
  } satisfies Partial<GuestNative>;
  const pipe = new PortPipe(native as unknown as GuestNative, "/dev/port", () => ({
    onBytes: (chunk) => void state.events.push(Buffer.from(chunk).toString()),
    onDrain: () => void state.events.push("drain"),
    onDisconnect: () => void state.events.push("disconnect"),
  }));
  return { pipe, state, ready: () => onReady(state.isConnected) };
}

it("sends what a full port did not take when it has room, in order and whole", () => {
  const { pipe, state, ready } = testPort();
  ready();
  state.room = 4;
  expect(pipe.write(Buffer.from("abcdef"))).toBe(false);
  expect(pipe.write(Buffer.from("gh"))).toBe(false);
  state.room = 3;
  ready();
  expect([state.sent, state.events]).toEqual(["abcdefg", []]);
  state.room = 100;
  ready();
  expect([state.sent, state.events]).toEqual(["abcdefgh", ["drain"]]);
  expect(pipe.write(Buffer.from("i"))).toBe(true);
});

it("reads all that came before it tells that the host left, and keeps nothing for the next one", () => {
  const { pipe, state, ready } = testPort();
  ready();
  pipe.write(Buffer.from("half a frame"));
  state.incoming = Buffer.from("abcd");
  state.isConnected = false;
  ready();
  expect(state.events).toEqual(["abc", "d", "disconnect"]);
  state.isConnected = true;
  state.room = 100;
  ready();
  expect(state.sent).toBe("");
});

it("goes on reading in a later turn when more comes than one turn takes", async () => {
  const { state, ready } = testPort();
  state.incoming = Buffer.from("x".repeat(100));
  ready();
  expect(state.events.join("").length).toBeLessThan(100);
  await new Promise((resolve) => setImmediate(() => setImmediate(() => setImmediate(resolve))));
  expect(state.events.join("")).toBe("x".repeat(100));
});
