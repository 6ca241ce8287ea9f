import { expect, test } from "vitest";
import { Outbox } from "./outbox.ts";
import { OUTPUT_HIGH_MARK_BYTES, OUTPUT_MESSAGE_MAX_BYTES } from "./session-limits.ts";

function outbox() {
  const seen = { isReady: true, sent: [] as number[], full: [] as boolean[] };
  const subject = new Outbox({
    send: (message) => {
      seen.sent.push(message.length);
      seen.isReady = false;
    },
    isReady: () => seen.isReady,
    onFull: (isFull) => void seen.full.push(isFull),
  });
  return { subject, seen };
}

test("a lone chunk leaves at once; those that come meanwhile leave together", () => {
  const { subject, seen } = outbox();
  subject.push(new Uint8Array(3));
  expect(seen.sent).toEqual([3]);
  subject.push(new Uint8Array(4));
  subject.push(new Uint8Array(5));
  expect(seen.sent).toEqual([3]);
  seen.isReady = true;
  subject.flush();
  expect([seen.sent, subject.bytes]).toEqual([[3, 9], 0]);
});

test("tells its source to stop at the high mark, and to go on below it", () => {
  const { subject, seen } = outbox();
  subject.push(new Uint8Array(1));
  for (let bytes = 0; bytes < OUTPUT_HIGH_MARK_BYTES; bytes += 65_536) subject.push(new Uint8Array(65_536));
  expect(seen.full).toEqual([true]);
  seen.isReady = true;
  subject.flush();
  expect(seen.full).toEqual([true, false]);
});

test("no message is above the limit, and nothing is left when the source ended", () => {
  const { subject, seen } = outbox();
  subject.push(new Uint8Array(1));
  for (let at = 0; at < 5; at += 1) subject.push(new Uint8Array(100_000));
  subject.drain();
  expect(seen.sent).toEqual([1, 200_000, 200_000, 100_000]);
  expect(Math.max(...seen.sent)).toBeLessThanOrEqual(OUTPUT_MESSAGE_MAX_BYTES);
});
