import { expect, it, vi } from "vitest";
import { AtollError, toAtollError } from "./atoll-error.ts";
import { openChannel } from "./call.ts";
import { Dispatcher } from "./dispatcher.ts";
import { encodeFrame, FrameKind } from "./frame.ts";
import { STREAM_WINDOW_BYTES } from "./limits.ts";
import { processRun } from "./messages/process.ts";
import { muxPair } from "./mux-pair.ts";
import { relayStream } from "./relay-stream.ts";

/** Browser ↔ hop ↔ guest, where the guest accepts and reads nothing. */
function hop(onOver: () => void = () => {}) {
  const guest = muxPair({ onServerOpen: (open) => open.accept().sendReply({ pid: 1 }) });
  const near = muxPair({ onServerOpen: (open) => relayStream(open, guest.client, { onOver }) });
  const open = () => openChannel(near.client, processRun, { argv: ["cat"], timeoutMs: 1000 });
  return { guest, near, open };
}

it.each(["reset", "near lost", "guest lost"])("says once that the stream is over: %s", async (how) => {
  const onOver = vi.fn();
  const { guest, near, open } = hop(onOver);
  const { stream } = await open();
  expect(onOver).not.toHaveBeenCalled();
  if (how === "reset") stream.reset();
  else if (how === "near lost") near.cut(new AtollError("link.lost"));
  else guest.cut(new AtollError("link.lost"));
  await expect.poll(() => onOver.mock.calls.length).toBe(1);
  expect([near.server.streamCount, guest.client.streamCount]).toEqual([0, 0]);
});

it("costs a writer that ignores its credit its own connection, not the other's", async () => {
  const { guest, near, open } = hop();
  const { stream } = await open();
  const payload = new Uint8Array(16_384);
  for (let sent = 0; sent <= STREAM_WINDOW_BYTES; sent += payload.length) {
    near.server.receive(encodeFrame({ kind: FrameKind.data, flags: 0, streamId: stream.streamId, payload }));
  }
  expect(near.fatal.map(({ code }) => code)).toEqual(["link.protocol"]);
  expect(guest.fatal).toEqual([]);
  expect(guest.client.isClosed).toBe(false);
});

it("lets as much through as credit was given back", async () => {
  const guest = muxPair({
    onServerOpen: async (open) => {
      const stream = open.accept();
      stream.sendReply({ pid: 1 });
      for await (const item of stream) if (item.kind === "data") await stream.write(item.bytes);
      stream.end();
    },
  });
  const near = muxPair({ onServerOpen: (open) => relayStream(open, guest.client) });
  const { stream } = await openChannel(near.client, processRun, { argv: ["cat"], timeoutMs: 1000 });
  const size = 5 * STREAM_WINDOW_BYTES;
  const writing = stream.write(new Uint8Array(size)).then(() => stream.end());
  let received = 0;
  for await (const item of stream) if (item.kind === "data") received += item.bytes.length;
  await writing;
  expect(received).toBe(size);
  expect([...near.fatal, ...guest.fatal]).toEqual([]);
});

it("refuses parameters that outgrow a frame on their way, and the guest's connection stays", async () => {
  const guest = muxPair({ onServerOpen: (open) => open.accept().sendReply({}) });
  const near = muxPair({
    onServerOpen: (open) => {
      try {
        relayStream(open, guest.client);
      } catch (error) {
        open.refuse(toAtollError(error));
      }
    },
  });
  const stream = near.client.open("grows", []);
  await stream.reply;
  // 5 bytes each as they come, 22 as JSON.stringify writes them.
  const params = `[${Array(10_000).fill("1e20").join()}]`;
  const payload = new TextEncoder().encode(`{"name":"grows","params":${params}}`);
  const streamId = stream.streamId + 1000;
  near.server.receive(encodeFrame({ kind: FrameKind.open, flags: 0, streamId, payload }));
  expect([near.server.streamCount, guest.client.streamCount]).toEqual([1, 1]);
  expect([...near.fatal, ...guest.fatal]).toEqual([]);
  await expect(near.client.open("still", {}).reply).resolves.toEqual({});
});

it("refuses a call larger than a frame before it sends a byte", async () => {
  const { near, open } = hop();
  expect(() => near.client.open("large", "x".repeat(70_000))).toThrow(
    expect.objectContaining({ code: "request.too_large" }),
  );
  expect(near.client.streamCount).toBe(0);
  await open();
});

it("answers a bad field with a name of any length, and the guest's connection stays", async () => {
  const dispatcher = new Dispatcher(() => {});
  dispatcher.onChannel(processRun, () => {});
  const guest = muxPair({ onServerOpen: (open) => dispatcher.dispatch(open, "session") });
  const near = muxPair({ onServerOpen: (open) => relayStream(open, guest.client) });
  const env = { [`${"x".repeat(50_000)}=`]: "1" };
  const { reply } = near.client.open(processRun.name, { argv: ["true"], env, timeoutMs: 1000 });
  await expect(reply).rejects.toMatchObject({ code: "request.invalid" });
  expect([...near.fatal, ...guest.fatal]).toEqual([]);
  expect(guest.client.isClosed).toBe(false);
});
