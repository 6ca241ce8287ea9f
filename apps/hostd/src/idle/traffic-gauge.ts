import type { Evidence } from "./judge-idle.ts";

/** Below it is what an idle guest's own programs say now and then. */
const NETWORK_FLOOR_BYTES_PER_SECOND = 32 * 1024;
/** Below it a page that is merely open keeps its connection. */
const PREVIEW_FLOOR_BYTES_PER_SECOND = 4 * 1024;

export interface TrafficTime {
  atMs: number;
  /** Evidence of this reading holds until then. */
  validUntilMs: number;
  /** Over less, a rate says nothing. */
  shortestSpanMs: number;
}

export interface Traffic {
  /** Absent: below the floor. */
  network: Evidence | undefined;
  /** The port of a preview that what came back on is above its floor. */
  previewPort: number | undefined;
}

/** Counts what passes, and tells at each reading whether it was much since the one before. */
export class TrafficGauge {
  #sinceMs: number;
  #networkBytes = 0;
  #previewBytes = 0;
  #previewPort = 0;

  constructor(atMs: number) {
    this.#sinceMs = atMs;
  }

  addNetwork(bytes: number): void {
    this.#networkBytes += bytes;
  }

  addPreview(port: number, bytes: number): void {
    this.#previewBytes += bytes;
    this.#previewPort = port;
  }

  /** Undefined when too little time went by to say anything new. */
  read({ atMs, validUntilMs, shortestSpanMs }: TrafficTime): Traffic | undefined {
    const spanMs = atMs - this.#sinceMs;
    if (spanMs < shortestSpanMs) return undefined;
    const isAbove = (bytes: number, floor: number) => (bytes * 1000) / spanMs >= floor;
    const traffic: Traffic = {
      network: isAbove(this.#networkBytes, NETWORK_FLOOR_BYTES_PER_SECOND)
        ? {
            ...{ kind: "network", detail: "network traffic", atMs, holdsUntilMs: validUntilMs },
            ...{ isLease: false, isAuthorised: false },
          }
        : undefined,
      previewPort: isAbove(this.#previewBytes, PREVIEW_FLOOR_BYTES_PER_SECOND)
        ? this.#previewPort
        : undefined,
    };
    this.#sinceMs = atMs;
    this.#networkBytes = 0;
    this.#previewBytes = 0;
    return traffic;
  }
}
