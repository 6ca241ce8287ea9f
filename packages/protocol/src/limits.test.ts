import { expect, it } from "vitest";
import {
  CREDIT_STEP_BYTES,
  DATA_PAYLOAD_MAX_BYTES,
  FRAME_HEADER_BYTES,
  FRAME_PAYLOAD_MAX_BYTES,
  MESSAGE_MAX_BYTES,
  SOCKET_MESSAGE_MAX_BYTES,
  STREAM_WINDOW_BYTES,
  STREAMS_PER_LINK,
  STREAMS_PER_SESSION,
  TERMINAL_HIGH_MARK_BYTES,
  TERMINAL_REPLAY_BYTES,
} from "./limits.ts";

it("keeps the relations between the limits", () => {
  expect(DATA_PAYLOAD_MAX_BYTES).toBeLessThanOrEqual(FRAME_PAYLOAD_MAX_BYTES);
  expect(FRAME_PAYLOAD_MAX_BYTES).toBeLessThan(2 ** 16);
  // A writer that used its window wakes only if the reader's step fits in what it consumed.
  expect(CREDIT_STEP_BYTES + DATA_PAYLOAD_MAX_BYTES).toBeLessThanOrEqual(STREAM_WINDOW_BYTES);
  expect(FRAME_PAYLOAD_MAX_BYTES + FRAME_HEADER_BYTES).toBeLessThan(SOCKET_MESSAGE_MAX_BYTES);
  expect(STREAM_WINDOW_BYTES).toBeLessThan(MESSAGE_MAX_BYTES);
  expect(TERMINAL_HIGH_MARK_BYTES).toBeLessThan(TERMINAL_REPLAY_BYTES);
  expect(STREAMS_PER_SESSION).toBeLessThan(STREAMS_PER_LINK);
});
