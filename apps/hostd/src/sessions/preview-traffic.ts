import { type Frame, FrameKind } from "@atoll/protocol/frame";
import { portsConnect } from "@atoll/protocol/messages/ports";
import type { WorkMeter } from "../idle/work-meter.ts";

/** The head of a request is longer; a heartbeat of an open page is shorter, and says only that the page is open. */
const REQUEST_MIN_BYTES = 128;

/** Counts one stream of an authorised preview: its opening and its requests as such, what comes back by its bytes. */
export class PreviewTraffic {
  readonly #port: number;
  readonly #meter: Pick<WorkMeter, "markPreview">;

  constructor(params: unknown, meter: Pick<WorkMeter, "markPreview">) {
    this.#meter = meter;
    const parsed = portsConnect.params.safeParse(params);
    // What is malformed is refused by the guest.
    this.#port = parsed.success ? parsed.data.port : 0;
  }

  opened(): void {
    this.#meter.markPreview(this.#port);
  }

  fromCaller({ kind, payload }: Frame): void {
    if (kind === FrameKind.data && payload.length >= REQUEST_MIN_BYTES) this.#meter.markPreview(this.#port);
  }

  fromGuest({ kind, payload }: Frame): void {
    if (kind === FrameKind.data) this.#meter.markPreview(this.#port, payload.length);
  }
}
