import type { AtollError } from "./atoll-error.ts";
import { type Frame, FrameKind } from "./frame.ts";
import { encodeJson } from "./json-payload.ts";
import type { IncomingOpen, Mux, RelayHandle, StreamEnd } from "./mux.ts";

/**
 * Joins a stream opened on one mux to a new stream on `target`, frame by frame. Credit passes end to end,
 * so the hop holds at most one window per direction. When one side is lost the other sees RESET.
 * @throws AtollError when `target` cannot open; `incoming` is then still undecided.
 */
export function relayStream(incoming: IncomingOpen, target: Mux): void {
  const handles: { near?: RelayHandle; far?: RelayHandle } = {};
  const ended = { near: false, far: false };
  const forgetBoth = () => {
    handles.near?.forget();
    handles.far?.forget();
  };
  const endOf = (side: "near" | "far", other: "near" | "far"): StreamEnd => ({
    onFrame(frame: Frame) {
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
}
