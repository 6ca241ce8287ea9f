import { AtollError } from "./atoll-error.ts";
import { type Frame, FrameKind } from "./frame.ts";
import { encodeJson, encodeOpen } from "./json-payload.ts";
import type { IncomingOpen, Mux, RelayHandle, StreamEnd } from "./mux.ts";
import { RelayedSide } from "./relayed-side.ts";

export interface RelayListeners {
  /** Once, when neither side has the stream any more. */
  onOver?: () => void;
  /** Frames as they pass: `near` ones come from who opened `incoming`. For counting only. */
  onFrame?: (from: "near" | "far", frame: Frame) => void;
}

/**
 * Joins a stream opened on one mux to a new stream on `target`, frame by frame. Credit passes end to end,
 * so the hop holds at most one window per direction: a side that writes past it, or what no stream has, loses its own
 * connection, not the other's. When one side is lost the other sees RESET.
 * @throws AtollError when `target` cannot open, the parameters outgrow a frame, or what waited for the decision broke
 * the protocol; `incoming` is then to be refused
 */
export function relayStream(incoming: IncomingOpen, target: Mux, listeners: RelayListeners = {}): void {
  const handles: { near?: RelayHandle; far?: RelayHandle } = {};
  const sides = { near: new RelayedSide("opener"), far: new RelayedSide("acceptor") };
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
      const creditBytes = sides[side].check(frame);
      if (creditBytes > 0) sides[other].creditGiven(creditBytes);
      handles[other]?.forward(frame);
      if (frame.kind === FrameKind.reset || (sides.near.hasEnded && sides.far.hasEnded)) forgetBoth();
    },
    onLost(error: AtollError) {
      const payload = encodeJson(error.toWire());
      handles[other]?.forward({ kind: FrameKind.reset, flags: 0, streamId: 0, payload });
      forgetBoth();
    },
  });
  const payload = encodeOpen(incoming.name, incoming.params);
  const far = endOf("far", "near");
  handles.far = target.openRelay({ kind: FrameKind.open, flags: 0, streamId: 0, payload }, far);
  try {
    handles.near = incoming.relay(endOf("near", "far"));
  } catch (error) {
    endOf("near", "far").onLost(new AtollError("stream.reset"));
    throw error;
  }
  // Frames that waited for the decision may have ended the stream already.
  if (isOver) handles.near.forget();
}
