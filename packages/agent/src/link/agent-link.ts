/**
 * The guest's end of the link. Owns the one live `Mux` and the token that starts the next one: whatever connection
 * shows the token, at whatever byte, ends what was and begins anew. Counterpart: hostd's link; contract:
 * `@atoll/protocol/link-handshake`.
 */
import type { Clock } from "@atoll/base/clock";
import { AtollError, toAtollError } from "@atoll/protocol/atoll-error";
import { encodeFrame, FrameKind } from "@atoll/protocol/frame";
import { encodeJson } from "@atoll/protocol/json-payload";
import { STREAMS_PER_LINK } from "@atoll/protocol/limits";
import { FIRST_LINK_TOKEN, type LinkHello, type LinkHelloAnswer } from "@atoll/protocol/link-handshake";
import { type IncomingOpen, Mux } from "@atoll/protocol/mux";
import type { BytePipe, BytePipeListener } from "./byte-pipe.ts";
import { HelloReader } from "./hello-reader.ts";
import { TokenScanner } from "./token-scanner.ts";

/** A possible beginning of the token at the end of a chunk waits this long for its rest; one keystroke in 256 does. */
const HOLD_MS = 5;
/** Bytes behind a HELLO that may arrive before it is answered. A host that waits for the answer sends none. */
const EARLY_MAX_BYTES = 1024 * 1024;

export interface AgentLinkOptions {
  clock: Clock;
  /** Takes on what the HELLO brings; the answer goes out when it returns. */
  greet: (hello: LinkHello) => LinkHelloAnswer;
  onOpen: (incoming: IncomingOpen) => void;
  log: (line: string) => void;
}

/** What one connection is doing with its bytes. */
type Phase =
  | { kind: "searching" }
  | { kind: "hello"; reader: HelloReader }
  | { kind: "greeting"; early: Uint8Array[]; earlyBytes: number }
  | { kind: "running"; mux: Mux };

export class AgentLink {
  readonly #options: AgentLinkOptions;
  #token: Uint8Array = Buffer.from(FIRST_LINK_TOKEN, "hex");
  #live: { mux: Mux; pipe: BytePipe } | undefined;
  readonly #connections = new Set<Connection>();

  constructor(options: AgentLinkOptions) {
    this.#options = options;
  }

  /** The streams' carrier, while a host is there. */
  get mux(): Mux | undefined {
    return this.#live?.mux.isClosed ? undefined : this.#live?.mux;
  }

  readonly listen = (pipe: BytePipe): BytePipeListener => {
    const connection = new Connection(pipe, {
      ...this.#options,
      token: () => this.#token,
      onGreeted: (mux, hello) => {
        if (this.#live !== undefined) {
          this.#live.mux.lost(new AtollError("link.lost", "the host started anew"));
          if (this.#live.pipe !== pipe) this.#live.pipe.close();
        }
        this.#live = { mux, pipe };
        this.#token = Buffer.from(hello.linkToken, "hex");
        for (const other of this.#connections) other.renewScanner();
      },
      onGone: () => {
        if (this.#live?.pipe === pipe) this.#live = undefined;
      },
    });
    this.#connections.add(connection);
    return {
      onBytes: (chunk) => connection.receive(chunk),
      onDrain: () => connection.drained(),
      onDisconnect: () => {
        connection.disconnected();
        if (!pipe.canReturn) this.#connections.delete(connection);
      },
    };
  };
}

interface ConnectionOptions extends AgentLinkOptions {
  token: () => Uint8Array;
  /** The new mux is in charge from this call on; the answer is written after it. */
  onGreeted: (mux: Mux, hello: LinkHello) => void;
  onGone: () => void;
}

class Connection {
  readonly #pipe: BytePipe;
  readonly #options: ConnectionOptions;
  #scanner: TokenScanner;
  #phase: Phase = { kind: "searching" };
  #cancelHold: (() => void) | undefined;

  constructor(pipe: BytePipe, options: ConnectionOptions) {
    this.#pipe = pipe;
    this.#options = options;
    this.#scanner = new TokenScanner(options.token());
  }

  renewScanner(): void {
    this.#cancelHold?.();
    this.#cancelHold = undefined;
    this.#pass(this.#scanner.release());
    this.#scanner = new TokenScanner(this.#options.token());
  }

  receive(chunk: Uint8Array): void {
    this.#cancelHold?.();
    this.#cancelHold = undefined;
    let rest: Uint8Array | undefined = chunk;
    while (rest !== undefined && rest.length > 0) {
      const result = this.#scanner.scan(rest);
      if (result.passed.length > 0) this.#pass(result.passed);
      if (result.rest !== undefined) this.#startAnew();
      rest = result.rest;
    }
    if (this.#scanner.heldBytes > 0 && this.#phase.kind !== "searching") {
      this.#cancelHold = this.#options.clock.schedule(HOLD_MS, () => this.#pass(this.#scanner.release()));
    }
  }

  drained(): void {
    if (this.#phase.kind === "running") this.#phase.mux.drained();
  }

  disconnected(): void {
    this.#cancelHold?.();
    this.#end("the host left");
    this.#scanner = new TokenScanner(this.#options.token());
    this.#options.onGone();
  }

  #pass(bytes: Uint8Array): void {
    const phase = this.#phase;
    if (bytes.length === 0) return;
    if (phase.kind === "running") phase.mux.receive(bytes);
    else if (phase.kind === "hello") this.#readHello(phase.reader, bytes);
    else if (phase.kind === "greeting") {
      phase.earlyBytes += bytes.length;
      if (phase.earlyBytes > EARLY_MAX_BYTES) this.#end("the host did not wait for an answer");
      else phase.early.push(bytes);
    }
  }

  #startAnew(): void {
    this.#end("the host started anew");
    this.#pipe.discard();
    this.#phase = { kind: "hello", reader: new HelloReader() };
  }

  #end(reason: string): void {
    const phase = this.#phase;
    this.#phase = { kind: "searching" };
    if (phase.kind === "running") phase.mux.lost(new AtollError("link.lost", reason));
  }

  #readHello(reader: HelloReader, bytes: Uint8Array): void {
    try {
      const found = reader.push(bytes);
      if (found === undefined) return;
      const phase = { kind: "greeting" as const, early: [], earlyBytes: 0 };
      this.#phase = phase;
      this.#pass(found.rest);
      void this.#greet(found.hello, phase);
    } catch (cause) {
      this.#refuse(this.#phase, toAtollError(cause));
    }
  }

  async #greet(hello: LinkHello, phase: Phase & { kind: "greeting" }): Promise<void> {
    try {
      // A host that waited for a guest to boot asked several times: of what was read at once only the last counts.
      await Promise.resolve();
      if (this.#phase !== phase) return;
      this.#run(hello, this.#options.greet(hello), phase.early);
    } catch (cause) {
      this.#refuse(phase, toAtollError(cause));
    }
  }

  #refuse(phase: Phase, error: AtollError): void {
    this.#options.log(`handshake failed: ${error.message}`);
    if (this.#phase === phase) this.#phase = { kind: "searching" };
  }

  #run(hello: LinkHello, answer: LinkHelloAnswer, early: Uint8Array[]): void {
    const mux = new Mux({
      side: "server",
      maxStreams: STREAMS_PER_LINK,
      send: (bytes) => this.#pipe.write(bytes),
      isSendCopying: true,
      onOpen: (incoming) => this.#options.onOpen(incoming),
      onFatal: (error) => {
        this.#options.log(`link broken: ${error.code} ${error.message}`);
        if (this.#phase.kind === "running" && this.#phase.mux === mux) this.#phase = { kind: "searching" };
      },
    });
    // Still in `greeting`: what the old scanner held back goes behind the other early bytes.
    this.#options.onGreeted(mux, hello);
    this.#phase = { kind: "running", mux };
    const payload = encodeJson(answer);
    const frame = encodeFrame({ kind: FrameKind.hello, flags: 0, streamId: 0, payload });
    this.#pipe.write(Buffer.concat([Buffer.from(hello.nonce, "hex"), frame]));
    for (const bytes of early) mux.receive(bytes);
  }
}
