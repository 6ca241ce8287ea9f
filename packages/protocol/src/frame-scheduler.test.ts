import { describe, expect, it } from "vitest";
import { FrameKind, FrameReader } from "./frame.ts";
import { FrameScheduler } from "./frame-scheduler.ts";
import { DATA_PAYLOAD_MAX_BYTES, STREAM_WINDOW_BYTES } from "./limits.ts";

const data = (streamId: number, size = DATA_PAYLOAD_MAX_BYTES) => ({
  kind: FrameKind.data,
  flags: 0,
  streamId,
  payload: new Uint8Array(size),
});

/** A transport that takes one chunk, then nothing until told. */
function slowTransport() {
  const sent: string[] = [];
  const reader = new FrameReader();
  const scheduler = new FrameScheduler((bytes) => {
    for (const frame of reader.push(bytes)) sent.push(`${frame.streamId}:${frame.kind}`);
    return false;
  });
  return { sent, scheduler };
}

describe("frame scheduler", () => {
  it("sends a keystroke next although another stream queued a flood", () => {
    const { sent, scheduler } = slowTransport();
    for (let count = 0; count < 10; count++) scheduler.enqueue(data(1));
    scheduler.enqueue(data(3, 1));
    scheduler.drained();
    scheduler.drained();
    scheduler.drained();
    expect(sent).toEqual(["1:4", "1:4", "3:4", "1:4"]);
  });

  it("lets credit overtake data but keeps END behind the data of its stream", () => {
    const { sent, scheduler } = slowTransport();
    scheduler.enqueue(data(1));
    scheduler.enqueue(data(1));
    scheduler.enqueue({ kind: FrameKind.end, flags: 0, streamId: 1, payload: new Uint8Array(0) });
    scheduler.enqueue({ kind: FrameKind.credit, flags: 0, streamId: 1, payload: new Uint8Array(4) });
    for (let count = 0; count < 4; count++) scheduler.drained();
    expect(sent).toEqual(["1:4", "1:6", "1:4", "1:7"]);
  });

  it("drops the queued data of a stream that is reset", () => {
    const { sent, scheduler } = slowTransport();
    for (let count = 0; count < 5; count++) scheduler.enqueue(data(1));
    scheduler.enqueue({ kind: FrameKind.reset, flags: 0, streamId: 1, payload: new Uint8Array(0) });
    for (let count = 0; count < 4; count++) scheduler.drained();
    expect(sent).toEqual(["1:4", "1:8"]);
  });

  it("refuses a stream that writes past its window", () => {
    const { scheduler } = slowTransport();
    const write = () => {
      for (let bytes = 0; bytes < 2 * STREAM_WINDOW_BYTES; bytes += DATA_PAYLOAD_MAX_BYTES)
        scheduler.enqueue(data(1));
    };
    expect(write).toThrow(expect.objectContaining({ code: "link.protocol" }));
  });
});
