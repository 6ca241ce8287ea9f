import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeFrame, type Frame, FrameFlag, FrameKind, FrameReader } from "./frame.ts";

const frame = fc.record({
  kind: fc.constantFrom(...Object.values(FrameKind)),
  flags: fc.constantFrom(0, FrameFlag.more, FrameFlag.secondary),
  streamId: fc.integer({ min: 0, max: 0xffffffff }),
  payload: fc.uint8Array({ maxLength: 300 }),
});

describe("frame", () => {
  it("has these bytes, for good", () => {
    const bytes = encodeFrame({
      kind: FrameKind.data,
      flags: FrameFlag.secondary,
      streamId: 0x01020304,
      payload: new Uint8Array([0xaa, 0xbb]),
    });
    expect([...bytes]).toEqual([4, 2, 0, 2, 1, 2, 3, 4, 0xaa, 0xbb]);
  });

  it("reads the same frames at any chunk boundary", () => {
    fc.assert(
      fc.property(
        fc.array(frame, { maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 64 })),
        (frames, cuts) => {
          const bytes = new Uint8Array(frames.flatMap((each) => [...encodeFrame(each)]));
          const reader = new FrameReader();
          const read: Frame[] = [];
          let at = 0;
          for (const size of [...cuts, bytes.length]) {
            read.push(
              ...reader
                .push(bytes.slice(at, at + size))
                .map((each) => ({ ...each, payload: each.payload.slice() })),
            );
            at += size;
          }
          expect(read).toEqual(frames);
        },
      ),
    );
  });

  it("refuses unknown kinds and flags at the header, before any payload", () => {
    for (const header of [
      [0, 0],
      [11, 0],
      [4, 4],
    ]) {
      const bytes = new Uint8Array([...header, 255, 255, 0, 0, 0, 1]);
      expect(() => new FrameReader().push(bytes)).toThrow(expect.objectContaining({ code: "link.protocol" }));
    }
  });
});
