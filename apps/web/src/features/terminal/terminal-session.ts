/**
 * One terminal of the machine as this tab sees it. The shell and its output live in the machine; this keeps
 * the offset reached, so that attaching again goes on at the very next byte.
 */
import { AtollError, toAtollError } from "@atoll/protocol/atoll-error";
import { type OpenChannel, openChannel } from "@atoll/protocol/call";
import { terminalAttach } from "@atoll/protocol/messages/terminal";
import type { Connection, Link } from "../connection/connection.ts";
import { ModelState } from "../model-state.ts";

/** Where output goes. A write resolves when it is drawn: until then nothing more is read, up to the shell itself. */
export interface TerminalScreen {
  write: (bytes: Uint8Array) => Promise<void>;
  /** Forget what is shown: the output that follows does not join on. */
  reset: () => void;
  /** Another viewer's size won. */
  resize: (cols: number, rows: number) => void;
}

export interface TerminalSessionState {
  isAttached: boolean;
  exit: { exitCode: number | null; signal: string | null } | undefined;
  error: AtollError | undefined;
}

type Channel = OpenChannel<typeof terminalAttach>;

/** Typed or pasted while the window is full; past it further input is refused rather than kept without bound. */
const MAX_PENDING_INPUT_BYTES = 4 * 1024 * 1024;
/** Longer than any key sends; what is longer was pasted. */
const KEY_MAX_BYTES = 64;

export class TerminalSession {
  readonly state = new ModelState<TerminalSessionState>({
    isAttached: false,
    exit: undefined,
    error: undefined,
  });
  readonly terminalId: string;
  readonly #screen: TerminalScreen;
  readonly #connection: Pick<Connection, "onLink" | "state">;
  readonly #onInputLost: (error: AtollError) => void;
  readonly #detach: () => void;
  /** The restore whose history is on screen. */
  #restoredGeneration: number | undefined;
  #offset: number | undefined;
  #channel: Channel | undefined;
  #size: { cols: number; rows: number };
  #input: Promise<void> = Promise.resolve();
  #pendingInputBytes = 0;
  #hasToldLoss = false;
  #isClosed = false;

  constructor(options: {
    connection: Pick<Connection, "onLink" | "state">;
    terminalId: string;
    screen: TerminalScreen;
    size: { cols: number; rows: number };
    /** A paste that the shell did not get, or not whole; told once until everything before it is through. */
    onInputLost: (error: AtollError) => void;
  }) {
    this.terminalId = options.terminalId;
    this.#screen = options.screen;
    this.#size = options.size;
    this.#connection = options.connection;
    this.#onInputLost = options.onInputLost;
    this.#detach = options.connection.onLink((link) => this.#attach(link));
  }

  /** Bytes for the shell. Without a connection they are dropped: a stale keystroke must not run later. */
  input(bytes: Uint8Array): void {
    const channel = this.#channel;
    if (!channel) return;
    if (this.#pendingInputBytes + bytes.length > MAX_PENDING_INPUT_BYTES) {
      return this.#lost(new AtollError("request.too_large"));
    }
    this.#pendingInputBytes += bytes.length;
    this.#input = this.#input
      .then(() => channel.stream.write(bytes))
      .catch((cause: unknown) => {
        if (this.#isClosed || bytes.length <= KEY_MAX_BYTES) return;
        const error = toAtollError(cause);
        // The stream is reset here when its connection is gone.
        this.#lost(error.code === "stream.reset" ? new AtollError("link.lost", undefined, { cause }) : error);
      })
      .finally(() => {
        this.#pendingInputBytes -= bytes.length;
        if (this.#pendingInputBytes === 0) this.#hasToldLoss = false;
      });
  }

  #lost(error: AtollError): void {
    if (this.#hasToldLoss) return;
    // Nothing waits: this one alone was too long, and so may the next be.
    this.#hasToldLoss = this.#pendingInputBytes > 0;
    this.#onInputLost(error);
  }

  resize(cols: number, rows: number): void {
    if (cols === this.#size.cols && rows === this.#size.rows) return;
    this.#size = { cols, rows };
    this.#channel?.sendEvent({ type: "resize", cols, rows }).catch(() => {});
  }

  close(): void {
    this.#isClosed = true;
    this.#detach();
  }

  async #attach({ mux, signal }: Link): Promise<void> {
    this.#forgetOtherHistory();
    try {
      const params = {
        terminalId: this.terminalId,
        ...this.#size,
        ...(this.#offset === undefined ? {} : { fromOffset: this.#offset }),
      };
      const channel = await openChannel(mux, terminalAttach, params, { signal });
      const onAbort = () => channel.stream.reset();
      signal.addEventListener("abort", onAbort, { once: true });
      try {
        this.#begin(channel);
        await this.#read(channel);
      } finally {
        signal.removeEventListener("abort", onAbort);
        channel.stream.reset();
      }
    } catch (cause) {
      const error = toAtollError(cause);
      if (error.code === "terminal.not_found") this.state.update({ error });
      throw error;
    } finally {
      this.#channel = undefined;
      this.state.update({ isAttached: false });
    }
  }

  /** A restored machine continues from its own past: what is on screen is another story, whatever its offsets say. */
  #forgetOtherHistory(): void {
    const { status } = this.#connection.state.get();
    if (status?.reason !== "restored" || status.generation === this.#restoredGeneration) return;
    this.#restoredGeneration = status.generation;
    if (this.#offset === undefined) return;
    this.#offset = undefined;
    this.#screen.reset();
  }

  #begin(channel: Channel): void {
    const { fromOffset, info } = channel.result;
    if (this.#offset !== undefined && fromOffset !== this.#offset) this.#screen.reset();
    this.#offset = fromOffset;
    this.#channel = channel;
    this.state.update({ isAttached: true, error: undefined, exit: info.exit });
  }

  async #read(channel: Channel): Promise<void> {
    for await (const item of channel.items()) {
      if (item.kind === "data") {
        await this.#screen.write(item.bytes);
        this.#offset = (this.#offset ?? 0) + item.bytes.length;
        continue;
      }
      const event = item.value;
      if (event.type === "resize") {
        this.#size = { cols: event.cols, rows: event.rows };
        this.#screen.resize(event.cols, event.rows);
      } else if (event.type === "gap") {
        this.#offset = (this.#offset ?? 0) + event.gapBytes;
        this.#screen.reset();
      } else if (event.type === "exit") {
        this.state.update({ exit: { exitCode: event.exitCode, signal: event.signal } });
      }
    }
  }
}
