import type { Clock } from "@atoll/base/clock";
import { call } from "@atoll/protocol/call";
import { corePing } from "@atoll/protocol/messages/core";
import { ModelState } from "../model-state.ts";
import type { Connection } from "./connection.ts";

const EVERY_MS = 5_000;
const TIMEOUT_MS = 10_000;

/** Round trip to the machine's agent, measured every few seconds while somebody looks. */
export class LatencyProbe {
  readonly state = new ModelState<{ latencyMs: number | undefined }>({ latencyMs: undefined });
  readonly #detach: () => void;

  constructor(options: { connection: Connection; clock: Clock; isVisible: () => boolean }) {
    const { connection, clock, isVisible } = options;
    this.#detach = connection.onLink(async ({ mux, signal }) => {
      signal.addEventListener("abort", () => this.state.update({ latencyMs: undefined }), { once: true });
      while (!signal.aborted) {
        if (isVisible()) {
          const startMs = clock.monotonic();
          await call(mux, corePing, {}, { timeoutMs: TIMEOUT_MS, signal, clock });
          this.state.update({ latencyMs: clock.monotonic() - startMs });
        }
        await new Promise<void>((resolve) => {
          const cancel = clock.schedule(EVERY_MS, resolve);
          signal.addEventListener("abort", () => [cancel(), resolve()], { once: true });
        });
      }
    });
  }

  close(): void {
    this.#detach();
  }
}
