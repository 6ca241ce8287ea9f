/**
 * The one connection to a guest's agent, kept up while the machine lives: opens the stream, shakes hands, runs the mux,
 * and does so again when either is lost. What a lost link means for the workspace is its owner's decision.
 * Length: one state machine, whose waits and wake-ups must be read together.
 */
import { type Clock, systemClock } from "@atoll/base/clock";
import { withDeadline } from "@atoll/base/with-deadline";
import { AtollError, toAtollError } from "@atoll/protocol/atoll-error";
import { call } from "@atoll/protocol/call";
import { STREAMS_PER_LINK } from "@atoll/protocol/limits";
import { FIRST_LINK_TOKEN, type LinkHello, type LinkHelloAnswer } from "@atoll/protocol/link-handshake";
import { coreThaw } from "@atoll/protocol/messages/core";
import type { EgressPreset } from "@atoll/protocol/messages/egress";
import type { IncomingOpen, Mux } from "@atoll/protocol/mux";
import type { Machine } from "../hypervisor/hypervisor.ts";
import { connectGuest } from "./connect-guest.ts";
import { MuxTransport } from "./mux-transport.ts";

export interface GuestLinkOptions {
  machine: Pick<Machine, "openLink"> & Partial<Pick<Machine, "onEvent">>;
  identity: LinkHello["identity"];
  /** The workspace's own token; the agent has it after the first handshake. */
  linkToken: string;
  egress: () => EgressPreset;
  /** Streams the guest opens. */
  onOpen: (open: IncomingOpen) => void;
  onUp: () => void;
  /** The connection was lost; reconnecting has begun. */
  onDown: (error: AtollError) => void;
  /** No agent for 10 s. */
  onDegraded: () => void;
  /** No agent for a minute, or two when the last one ended: the owner ends the machine. */
  onAbandoned: (error: AtollError) => void;
  clock?: Clock;
}

export const DEGRADED_AFTER_MS = 10_000;
export const ABANDONED_AFTER_MS = 60_000;
/** Longer for one that is known to have ended: a busy emulated guest takes this long to start the next. */
const AGENT_STARTS_MS = 60_000;
/** An agent that echoes nothing for this long is as good as gone. Emulated guests under load answer in seconds. */
const PING_EVERY_MS = 15_000;
const PING_TIMEOUT_MS = 20_000;
const RETRY_FIRST_MS = 100;
const RETRY_MAX_MS = 2000;
const RECONNECT_ATTEMPT_MS = 5000;

export class GuestLink {
  readonly #options: GuestLinkOptions;
  readonly #clock: Clock;
  readonly #abort = new AbortController();
  #transport: MuxTransport | undefined;
  #expectedLoss: AtollError | undefined;
  #isReconnecting = false;
  /** False while the machine says that no agent has its end open. */
  #isPortOpen = true;
  /** Its guest stands still, for which no agent is to blame. */
  #isHeld = false;
  #cancelPing = () => {};
  #cancelWatch = () => {};
  readonly #stopListening: () => void;

  constructor(options: GuestLinkOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    const stop = options.machine.onEvent?.((event) => {
      if (event.type === "port") this.#portChanged(event.isOpen);
    });
    this.#stopListening = stop ?? (() => {});
  }

  /** Absent while no agent is connected. */
  get mux(): Mux | undefined {
    return this.#transport?.mux;
  }

  /** The guest takes no bytes at the moment: whoever feeds it stops reading its own source. */
  get isBlocked(): boolean {
    return this.#transport?.isBlocked ?? false;
  }

  onceDrained(listener: () => void): void {
    if (this.#transport === undefined) listener();
    else this.#transport.onceDrained(listener);
  }

  /**
   * The first handshake of a start. On failure nothing is retried and the link is closed.
   * @param beforeHandshake runs once the stream is open: the guest never sees the host absent.
   */
  async connect(first: {
    expectedToken: string;
    reason: "boot" | "create" | "resume";
    timeoutMs: number;
    signal?: AbortSignal | undefined;
    beforeHandshake: () => Promise<void>;
  }): Promise<LinkHelloAnswer> {
    try {
      return await this.#attempt(first);
    } catch (error) {
      this.close(toAtollError(error));
      throw error;
    }
  }

  /** Connects to a machine that is running already, in the background, with the deadlines of a lost link. */
  adopt(): void {
    void this.#reconnect();
  }

  /** Drops the connection and shakes hands again; the handshake thaws a quiesced guest. */
  restart(error: AtollError): void {
    if (this.#transport === undefined) return;
    this.#transport.close(error);
  }

  /**
   * The machine is about to go: streams will end with `error` and nothing is retried. Undefined takes it back, and
   * reconnects if the connection went meanwhile.
   */
  expectLoss(error: AtollError | undefined): void {
    this.#expectedLoss = error;
    if (error === undefined && this.#transport === undefined) void this.#reconnect();
  }

  /** The guest stands still, or no longer: meanwhile an agent that answers nothing is as good as any. */
  hold(isHeld: boolean): void {
    if (this.#isHeld === isHeld || this.#abort.signal.aborted) return;
    this.#isHeld = isHeld;
    const transport = this.#transport;
    if (isHeld) this.#cancelPing();
    else if (transport !== undefined) this.#watchPing(transport);
  }

  /** Every stream ends with `error`; nothing is retried. */
  close(error: AtollError): void {
    if (this.#abort.signal.aborted) return;
    this.#stopListening();
    this.#abort.abort(error);
    this.#cancelPing();
    this.#cancelWatch();
    const transport = this.#transport;
    this.#transport = undefined;
    transport?.close(error);
  }

  async #attempt(options: {
    expectedToken: string;
    reason: LinkHello["reason"];
    timeoutMs: number;
    signal?: AbortSignal | undefined;
    beforeHandshake?: () => Promise<void>;
  }): Promise<LinkHelloAnswer> {
    const signal = options.signal
      ? AbortSignal.any([options.signal, this.#abort.signal])
      : this.#abort.signal;
    const opening = this.#options.machine.openLink(signal);
    const duplex = await withDeadline(opening, {
      timeoutMs: options.timeoutMs,
      clock: this.#clock,
      signal,
      onTimeout: () => new AtollError("link.lost", "the guest stream did not open"),
    }).catch((error: unknown) => {
      // A stream that opens after its deadline has no owner.
      opening.then((late) => late.destroy()).catch(() => {});
      throw error;
    });
    // Between handlers nobody listens; an unheard stream error would end the process.
    duplex.on("error", () => {});
    try {
      await options.beforeHandshake?.();
      const { answer, early } = await connectGuest({
        duplex,
        expectedToken: options.expectedToken,
        linkToken: this.#options.linkToken,
        reason: options.reason,
        identity: this.#options.identity,
        egress: this.#options.egress(),
        holds: true,
        timeoutMs: options.timeoutMs,
        signal,
        clock: this.#clock,
      });
      signal.throwIfAborted();
      if (duplex.destroyed) throw new AtollError("link.lost", "guest stream closed after the handshake");
      const transport: MuxTransport = new MuxTransport({
        duplex,
        side: "client",
        maxStreams: STREAMS_PER_LINK,
        onOpen: this.#options.onOpen,
        lossError: () => this.#expectedLoss,
        onClosed: (error) => this.#onClosed(transport, error),
      });
      transport.start(early);
      await this.#letGoOn(transport, answer, { timeoutMs: options.timeoutMs, signal });
      this.#transport = transport;
      this.#watchPing(transport);
      this.#options.onUp();
      return answer;
    } catch (error) {
      if (this.#transport === undefined) duplex.destroy();
      throw error;
    }
  }

  /** Only now: what this guest was told of time and name is believed. */
  async #letGoOn(
    transport: MuxTransport,
    answer: LinkHelloAnswer,
    options: { timeoutMs: number; signal: AbortSignal },
  ): Promise<void> {
    try {
      // Most have done so by themselves: only one that heard late waits.
      if (answer.isThawed !== true) {
        await call(transport.mux, coreThaw, {}, { ...options, clock: this.#clock });
      }
      options.signal.throwIfAborted();
      if (transport.mux.isClosed) throw new AtollError("link.lost", "the guest left at once");
    } catch (error) {
      transport.close(toAtollError(error));
      throw error;
    }
  }

  #onClosed(transport: MuxTransport, error: AtollError): void {
    if (this.#transport !== transport) return;
    this.#transport = undefined;
    this.#cancelPing();
    if (this.#expectedLoss !== undefined) return;
    this.#options.onDown(error);
    void this.#reconnect();
  }

  /** An agent opens its end once: one that closed it has ended, whatever lies in the buffers between. */
  #portChanged(isOpen: boolean): void {
    this.#isPortOpen = isOpen;
    if (isOpen) this.#wake();
    else this.#transport?.close(new AtollError("link.lost", "the guest agent ended"));
  }

  async #reconnect(): Promise<void> {
    if (this.#abort.signal.aborted || this.#isReconnecting) return;
    this.#isReconnecting = true;
    try {
      await this.#reconnectUntilConnected();
    } finally {
      this.#isReconnecting = false;
    }
  }

  async #reconnectUntilConnected(): Promise<void> {
    let since = this.#clock.monotonic();
    this.#cancelWatch = this.#clock.schedule(DEGRADED_AFTER_MS, () => this.#options.onDegraded());
    let retryMs = RETRY_FIRST_MS;
    let lastError = new AtollError("link.lost");
    // An agent that was restarted waits for the first token again, and needs its identity anew.
    let isFresh = !this.#isPortOpen;
    let giveUpMs = ABANDONED_AFTER_MS;
    while (!this.#abort.signal.aborted) {
      // What is written while no agent has its end open is lost.
      if (!this.#isPortOpen) {
        giveUpMs = ABANDONED_AFTER_MS + AGENT_STARTS_MS;
        await this.#delay(RECONNECT_ATTEMPT_MS);
        isFresh = true;
      }
      if (this.#abort.signal.aborted) return;
      try {
        await this.#attempt({
          expectedToken: isFresh ? FIRST_LINK_TOKEN : this.#options.linkToken,
          reason: isFresh ? "boot" : "reconnect",
          timeoutMs: RECONNECT_ATTEMPT_MS,
        });
        this.#cancelWatch();
        return;
      } catch (error) {
        if (this.#abort.signal.aborted) return;
        lastError = toAtollError(error);
        isFresh = !isFresh;
      }
      if (this.#isHeld) since = this.#clock.monotonic();
      if (this.#clock.monotonic() - since >= giveUpMs) {
        this.#cancelWatch();
        return this.#options.onAbandoned(lastError);
      }
      await this.#delay(retryMs);
      retryMs = Math.min(retryMs * 2, RETRY_MAX_MS);
    }
  }

  /** Ends a delay before the next attempt. */
  #wake = () => {};

  #delay(delayMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const { signal } = this.#abort;
    this.#wake = resolve;
    const cancel = this.#clock.schedule(delayMs, resolve);
    const onAbort = () => {
      cancel();
      resolve();
    };
    signal.addEventListener("abort", onAbort, { once: true });
    return promise.finally(() => {
      cancel();
      signal.removeEventListener("abort", onAbort);
    });
  }

  #watchPing(transport: MuxTransport): void {
    this.#cancelPing();
    if (this.#isHeld) return;
    this.#cancelPing = this.#clock.schedule(PING_EVERY_MS, () => {
      const cancelTimeout = this.#clock.schedule(PING_TIMEOUT_MS, () => {
        if (!this.#isHeld) transport.close(new AtollError("link.lost", "the guest agent is silent"));
      });
      void transport.mux.ping().then((isAlive) => {
        cancelTimeout();
        if (isAlive && this.#transport === transport) this.#watchPing(transport);
      });
    });
  }
}
