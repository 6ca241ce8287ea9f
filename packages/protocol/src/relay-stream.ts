import { AtollError } from "./atoll-error.ts";
import { type Frame, FrameKind } from "./frame.ts";
import { encodeJson } from "./json-payload.ts";
import { STREAM_WINDOW_BYTES } from "./limits.ts";
import type { IncomingOpen, Mux, RelayHandle, StreamEnd } from "./mux.ts";

export interface RelayListeners {
  /** Once, when neither side has the stream any more. */
  onOver?: () => void;
  /** Frames as they pass: `near` ones come from who opened `incoming`. For counting only. */
  onFrame?: (from: "near" | "far", frame: Frame) => void;
}

/**
 * Joins a stream opened on one mux to a new stream on `target`, frame by frame. Credit passes end to end,
 * so the hop holds at most one window per direction: a side that writes past it loses its own connection, not
 * the other's. When one side is lost the other sees RESET.
 * @throws AtollError when `target` cannot open; `incoming` is then still undecided.
 */
export function relayStream(incoming: IncomingOpen, target: Mux, listeners: RelayListeners = {}): void {
  const handles: { near?: RelayHandle; far?: RelayHandle } = {};
  const ended = { near: false, far: false };
  const inFlightBytes = { near: 0, far: 0 };
  let isOver = false;
  const forgetBoth = () => {
    if (isOver) return;
    isOver = true;
    handles.near?.forget();
    handles.far?.forget();
    listeners.onOver?.();
  };
  const endOf = (side: "near" | "far", other: "near" | "far"): StreamEnd => ({
    onFrame(frame: Frame) {
      if (isOver) return;
      listeners.onFrame?.(side, frame);
      if (frame.kind === FrameKind.data || frame.kind === FrameKind.event) {
        inFlightBytes[side] += frame.payload.length;
        if (inFlightBytes[side] > STREAM_WINDOW_BYTES) {
          throw new AtollError("link.protocol", "relayed stream overran its window");
        }
      } else if (frame.kind === FrameKind.credit) {
        inFlightBytes[other] = Math.max(0, inFlightBytes[other] - creditBytes(frame));
      }
      handles[other]?.forward(frame);
      if (frame.kind === FrameKind.end) ended[side] = true;
      if (frame.kind === FrameKind.reset || (ended.near && ended.far)) forgetBoth();
    },
    onLost(error: AtollError) {
      const payload = encodeJson(error.toWire());
      handles[other]?.forward({ kind: FrameKind.reset, flags: 0, streamId: 0, payload });
      forgetBoth();
    },
  });
  const payload = encodeJson({ name: incoming.name, params: incoming.params });
  handles.far = target.openRelay(
    { kind: FrameKind.open, flags: 0, streamId: 0, payload },
    endOf("far", "near"),
  );
  handles.near = incoming.relay(endOf("near", "far"));
  // Frames that waited for the decision may have ended the stream already.
  if (isOver) handles.near.forget();
}

function creditBytes({ payload }: Frame): number {
  if (payload.length !== 4) throw new AtollError("link.protocol", "credit of wrong size");
  return new DataView(payload.buffer, payload.byteOffset, 4).getUint32(0);
}
