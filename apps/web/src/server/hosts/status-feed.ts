/**
 * One subscription to hostd's events per process, fanned out to any number of readers. Each reader holds at
 * most the latest status of each workspace of one owner, so a slow reader costs nothing and misses only
 * states that are already over.
 */
import { createInterface } from "node:readline";
import type { Clock } from "@atoll/base/clock";
import { type AtollError, toAtollError } from "@atoll/protocol/atoll-error";
import { hostEvent } from "@atoll/protocol/hostd-api";
import type { WorkspaceStatus } from "@atoll/protocol/workspace-status";
import type { HostdClient } from "./hostd-client.ts";

/** hostd sends an empty line every 15 s; three missed ones mean the stream is dead. */
const SILENCE_LIMIT_MS = 45_000;
const RETRY_MIN_MS = 250;
const RETRY_MAX_MS = 5_000;

export interface StatusFeedOptions {
  hostd: Pick<HostdClient, "events">;
  clock: Clock;
  /** Called for every status that changed, in order. Must not wait. */
  onChange: (status: WorkspaceStatus) => void;
}

export interface FeedEvent {
  isHostReachable: boolean;
  statuses: WorkspaceStatus[];
}

interface Reader {
  ownerId: string;
  pending: Map<string, WorkspaceStatus>;
  isReachabilityPending: boolean;
  wake: (() => void) | undefined;
}

export class StatusFeed {
  readonly #options: StatusFeedOptions;
  readonly #latest = new Map<string, WorkspaceStatus>();
  readonly #readers = new Set<Reader>();
  readonly #abort = new AbortController();
  #isReachable = false;
  onDidFail: (error: AtollError) => void = () => {};

  constructor(options: StatusFeedOptions) {
    this.#options = options;
  }

  start(): void {
    void this.#run();
  }

  close(): void {
    this.#abort.abort();
    for (const reader of this.#readers) reader.wake?.();
  }

  get isHostReachable(): boolean {
    return this.#isReachable;
  }

  latest(workspaceId: string): WorkspaceStatus | undefined {
    return this.#latest.get(workspaceId);
  }

  /** First what is known now, then each change, until `signal` aborts. */
  async *watch(ownerId: string, signal: AbortSignal): AsyncGenerator<FeedEvent> {
    const own = [...this.#latest.values()].filter((status) => status.ownerId === ownerId);
    const reader: Reader = {
      ownerId,
      pending: new Map(own.map((status) => [status.workspaceId, status])),
      isReachabilityPending: true,
      wake: undefined,
    };
    const onAbort = () => reader.wake?.();
    this.#readers.add(reader);
    signal.addEventListener("abort", onAbort);
    try {
      while (!signal.aborted && !this.#abort.signal.aborted) {
        if (reader.pending.size > 0 || reader.isReachabilityPending) {
          const statuses = [...reader.pending.values()];
          reader.pending.clear();
          reader.isReachabilityPending = false;
          yield { isHostReachable: this.#isReachable, statuses };
          continue;
        }
        await new Promise<void>((resolve) => {
          reader.wake = resolve;
        });
      }
    } finally {
      this.#readers.delete(reader);
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** Resolves with the first status for which `matches` is true; rejects with the signal's reason. */
  async waitFor(
    target: { ownerId: string; workspaceId: string },
    matches: (status: WorkspaceStatus) => boolean,
    signal: AbortSignal,
  ): Promise<WorkspaceStatus> {
    for await (const event of this.watch(target.ownerId, signal)) {
      const found = event.statuses.find(
        (status) => status.workspaceId === target.workspaceId && matches(status),
      );
      if (found) return found;
    }
    throw signal.reason;
  }

  async #run(): Promise<void> {
    let retryMs = RETRY_MIN_MS;
    while (!this.#abort.signal.aborted) {
      try {
        await this.#read(() => {
          retryMs = RETRY_MIN_MS;
        });
      } catch (cause) {
        if (this.#isReachable) this.onDidFail(toAtollError(cause));
      }
      this.#setReachable(false);
      await this.#pause(retryMs);
      retryMs = Math.min(retryMs * 2, RETRY_MAX_MS);
    }
  }

  async #read(onOpen: () => void): Promise<void> {
    const silence = new AbortController();
    const signal = AbortSignal.any([this.#abort.signal, silence.signal]);
    const response = await this.#options.hostd.events(signal);
    if (response.statusCode !== 200) {
      response.destroy();
      throw new Error(`hostd answered ${response.statusCode} to events`);
    }
    onOpen();
    this.#latest.clear();
    this.#setReachable(true);
    const arm = () => this.#options.clock.schedule(SILENCE_LIMIT_MS, () => silence.abort());
    let disarm = arm();
    try {
      for await (const line of createInterface({ input: response })) {
        disarm();
        disarm = arm();
        if (line !== "") this.#take(JSON.parse(line));
      }
    } finally {
      disarm();
      response.destroy();
    }
  }

  #take(value: unknown): void {
    const status = hostEvent.parse(value);
    if (status.state === "erased") this.#latest.delete(status.workspaceId);
    else this.#latest.set(status.workspaceId, status);
    this.#options.onChange(status);
    for (const reader of this.#readers) {
      if (reader.ownerId !== status.ownerId) continue;
      reader.pending.set(status.workspaceId, status);
      reader.wake?.();
    }
  }

  #setReachable(isReachable: boolean): void {
    if (this.#isReachable === isReachable) return;
    this.#isReachable = isReachable;
    for (const reader of this.#readers) {
      reader.isReachabilityPending = true;
      reader.wake?.();
    }
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#options.clock.schedule(delayMs, resolve);
      this.#abort.signal.addEventListener(
        "abort",
        () => {
          cancel();
          resolve();
        },
        { once: true },
      );
    });
  }
}
