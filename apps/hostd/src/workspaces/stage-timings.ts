import type { StartStage } from "@atoll/protocol/workspace-status";

/** Runs remembered per step; enough for a median that follows the host's load. */
const REMEMBERED_RUNS = 15;

type StageKey = `${StartStage["path"]}.${StartStage["name"]}`;

/** Learns what each step of a start usually takes here. In memory: a new hostd learns again in a few starts. */
export class StageTimings {
  readonly #runs = new Map<StageKey, number[]>();

  record(stage: Pick<StartStage, "path" | "name">, durationMs: number): void {
    const key: StageKey = `${stage.path}.${stage.name}`;
    const runs = this.#runs.get(key) ?? [];
    runs.push(durationMs);
    if (runs.length > REMEMBERED_RUNS) runs.shift();
    this.#runs.set(key, runs);
  }

  /** The median, or undefined before the first run. */
  typicalMs(stage: Pick<StartStage, "path" | "name">): number | undefined {
    const runs = this.#runs.get(`${stage.path}.${stage.name}`);
    return runs?.toSorted((a, b) => a - b)[Math.floor(runs.length / 2)];
  }
}
