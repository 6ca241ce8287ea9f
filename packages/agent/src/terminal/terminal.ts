import type { Clock } from "@atoll/base/clock";
import { consumeOpenerItems } from "@atoll/protocol/call";
import { TERMINAL_HIGH_MARK_BYTES, TERMINAL_REPLAY_BYTES } from "@atoll/protocol/limits";
import type { ParsedParamsOf } from "@atoll/protocol/message";
import { type TerminalInfo, terminalAttach } from "@atoll/protocol/messages/terminal";
import type { MuxStream } from "@atoll/protocol/mux-stream";
import { LatestSender } from "../link/latest-sender.ts";
import { Pty, type PtyExit, type PtyOptions } from "./pty.ts";
import { ReplayRing } from "./replay-ring.ts";
import { TerminalViewer } from "./terminal-viewer.ts";
import { TitleScanner } from "./title-scanner.ts";

/** Reading goes on when the fastest viewer is this near again; well below the high mark, so that it does not flutter. */
const TERMINAL_LOW_MARK_BYTES = TERMINAL_HIGH_MARK_BYTES / 2;

export interface TerminalOptions extends Omit<PtyOptions, "onOutput" | "onExit"> {
  terminalId: string;
  title: string;
  clock: Clock;
  /** Title, size or end changed. */
  onChange: () => void;
}

interface Attached {
  viewer: TerminalViewer;
  notices: LatestSender;
}

/** One program on a terminal and everyone who looks at it. Lives until closed, with viewers or without. */
export class Terminal {
  readonly #options: TerminalOptions;
  readonly #startedAtMs: number;
  readonly #pty: Pty;
  readonly #ring = new ReplayRing(TERMINAL_REPLAY_BYTES);
  readonly #titles = new TitleScanner();
  readonly #attached = new Set<Attached>();
  #title: string;
  #cols: number;
  #rows: number;
  #exit: PtyExit | undefined;
  #isPaused = false;
  /** While input waits for the program to read. */
  #inputTail: Promise<void> | undefined;

  constructor(options: TerminalOptions) {
    this.#options = options;
    this.#startedAtMs = options.clock.now();
    this.#title = options.title;
    this.#cols = options.cols;
    this.#rows = options.rows;
    this.#pty = new Pty({
      ...options,
      onOutput: (bytes) => this.#onOutput(bytes),
      onExit: (exit) => this.#onExit(exit),
    });
  }

  get info(): TerminalInfo {
    return {
      terminalId: this.#options.terminalId,
      title: this.#title,
      pid: this.#pty.pid,
      cols: this.#cols,
      rows: this.#rows,
      startedAtMs: this.#startedAtMs,
      ...(this.#exit === undefined ? {} : { exit: this.#exit }),
    };
  }

  /** Serves one viewer until it ends its stream. */
  async attach(params: ParsedParamsOf<typeof terminalAttach>, stream: MuxStream): Promise<void> {
    const wanted = Math.min(params.fromOffset ?? this.#ring.start, this.#ring.end);
    const fromOffset = Math.max(wanted, this.#ring.start);
    if (params.cols !== undefined && params.rows !== undefined) this.#resize(params.cols, params.rows);
    stream.sendReply({ info: this.info, fromOffset, gapBytes: fromOffset - wanted });
    const viewer = new TerminalViewer({
      stream,
      ring: this.#ring,
      fromOffset,
      onProgress: () => this.#balance(),
    });
    const attached: Attached = { viewer, notices: new LatestSender(stream) };
    this.#attached.add(attached);
    void stream.closed.then(() => this.#detach(attached));
    viewer.onOutput();
    if (this.#exit !== undefined) void this.#tellExit(attached, this.#exit);
    await consumeOpenerItems(stream, terminalAttach, (item) => {
      if (item.kind === "data") return this.#input(item.bytes);
      this.#resize(item.value.cols, item.value.rows, attached);
      return undefined;
    });
    this.#detach(attached);
  }

  close(): void {
    this.#pty.close();
    for (const { viewer } of this.#attached) viewer.stream.end();
  }

  /** Inputs of several viewers take turns whole. */
  #input(bytes: Uint8Array): Promise<void> | undefined {
    const written = this.#inputTail
      ? this.#inputTail.then(() => this.#pty.write(bytes))
      : this.#pty.write(bytes);
    if (written === undefined) return undefined;
    const tail = written.then(() => {
      if (this.#inputTail === tail) this.#inputTail = undefined;
    });
    this.#inputTail = tail;
    return tail;
  }

  #resize(cols: number, rows: number, by?: Attached): void {
    if (cols === this.#cols && rows === this.#rows) return;
    this.#cols = cols;
    this.#rows = rows;
    this.#pty.resize(cols, rows);
    for (const attached of this.#attached) {
      if (attached !== by) attached.notices.send("resize", { type: "resize", cols, rows });
    }
    this.#options.onChange();
  }

  #onOutput(bytes: Uint8Array): void {
    this.#ring.append(bytes);
    for (const { viewer } of this.#attached) viewer.onOutput();
    this.#balance();
    const title = this.#titles.scan(bytes);
    if (title !== undefined && title !== this.#title) {
      this.#title = title;
      for (const { notices } of this.#attached) notices.send("title", { type: "title", title });
      this.#options.onChange();
    }
  }

  #onExit(exit: PtyExit): void {
    this.#exit = exit;
    for (const attached of this.#attached) void this.#tellExit(attached, exit);
    this.#options.onChange();
  }

  async #tellExit({ viewer, notices }: Attached, exit: PtyExit): Promise<void> {
    await viewer.catchUp();
    notices.send("exit", { type: "exit", ...exit });
  }

  #detach(attached: Attached): void {
    if (this.#attached.delete(attached)) this.#balance();
  }

  /** The fastest viewer sets the pace; with none, output flows into the ring. */
  #balance(): void {
    let lagBytes = 0;
    if (this.#attached.size > 0) {
      let fastest = 0;
      for (const { viewer } of this.#attached) fastest = Math.max(fastest, viewer.offset);
      lagBytes = this.#ring.end - fastest;
    }
    if (!this.#isPaused && lagBytes >= TERMINAL_HIGH_MARK_BYTES) {
      this.#isPaused = true;
      this.#pty.pause();
    } else if (this.#isPaused && lagBytes <= TERMINAL_LOW_MARK_BYTES) {
      this.#isPaused = false;
      this.#pty.resume();
    }
  }
}
