import type { Clock } from "@atoll/base/clock";
import type { StartStage } from "@atoll/protocol/workspace-status";
import type { StageTimings } from "./stage-timings.ts";

const STAGE_NAMES: readonly StartStage["name"][] = ["reserve", "restore", "identity", "ready"];

export interface StartProgressOptions {
  path: StartStage["path"];
  timings: StageTimings;
  clock: Clock;
  onChange: (stage: StartStage) => void;
}

/** The steps of one start. They only go forward: a resume that falls back to a boot changes its path, never its index. */
export class StartProgress {
  readonly #options: StartProgressOptions;
  #path: StartStage["path"];
  #current: { stage: StartStage; startedAt: number } | undefined;
  #isFallback = false;

  constructor(options: StartProgressOptions) {
    this.#options = options;
    this.#path = options.path;
  }

  enter(name: StartStage["name"]): void {
    const index = STAGE_NAMES.indexOf(name);
    const previous = this.#current;
    if (previous !== undefined && index < previous.stage.index) return;
    this.#recordCurrent();
    const { clock, timings } = this.#options;
    const typicalMs = timings.typicalMs({ path: this.#path, name });
    const stage: StartStage = {
      path: this.#path,
      name,
      index,
      total: STAGE_NAMES.length,
      startedAtMs: clock.now(),
      ...(typicalMs === undefined ? {} : { typicalMs }),
    };
    this.#current = { stage, startedAt: clock.monotonic() };
    this.#options.onChange(stage);
  }

  /** From here on it is a cold boot; the time spent so far teaches nothing about boots. */
  fallBackToBoot(): void {
    this.#path = "boot";
    this.#isFallback = true;
    const name = this.#current?.stage.name ?? "reserve";
    this.enter(name);
  }

  finish(): void {
    this.#recordCurrent();
    this.#current = undefined;
  }

  #recordCurrent(): void {
    if (this.#current === undefined || this.#isFallback) return;
    this.#options.timings.record(
      this.#current.stage,
      this.#options.clock.monotonic() - this.#current.startedAt,
    );
  }
}
