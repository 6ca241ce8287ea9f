/**
 * One browser socket and its connection to hostd: bytes both ways, never read. Each direction holds a bounded
 * amount and stops reading its source above that. Ends when either side does.
 */
import type { Socket as NetSocket } from "node:net";
import type { Clock } from "@atoll/base/clock";
import { AtollError } from "@atoll/protocol/atoll-error";
import type { ClientToServer, ServerToClient } from "@atoll/protocol/gateway-events";
import type { Socket } from "socket.io";
import { Outbox } from "./outbox.ts";
import { ReadGate } from "./read-gate.ts";
import {
  HOSTD_STALL_MS,
  INPUT_BURST_BYTES,
  INPUT_BURST_MESSAGES,
  INPUT_BYTES_PER_SECOND,
  INPUT_MESSAGES_PER_SECOND,
} from "./session-limits.ts";
import { TokenBucket } from "./token-bucket.ts";

export type BrowserSocket = Socket<ClientToServer, ServerToClient>;

export interface SessionBridgeOptions {
  browser: BrowserSocket;
  /** Owned by the bridge from here on. */
  hostd: NetSocket;
  clock: Clock;
}

export class SessionBridge {
  readonly #browser: BrowserSocket;
  readonly #hostd: NetSocket;
  readonly #clock: Clock;
  readonly #outbox: Outbox;
  readonly #input: ReadGate<"rate" | "hostd">;
  readonly #bytes: TokenBucket;
  readonly #messages: TokenBucket;
  readonly #timers = new Set<() => void>();
  #isOver = false;

  constructor(options: SessionBridgeOptions) {
    const { browser, hostd, clock } = options;
    this.#browser = browser;
    this.#hostd = hostd;
    this.#clock = clock;
    const now = () => clock.monotonic();
    this.#bytes = new TokenBucket({ perSecond: INPUT_BYTES_PER_SECOND, burst: INPUT_BURST_BYTES, now });
    this.#messages = new TokenBucket({
      perSecond: INPUT_MESSAGES_PER_SECOND,
      burst: INPUT_BURST_MESSAGES,
      now,
    });
    const { transport } = browser.conn;
    this.#input = new ReadGate(webSocketOf(transport));
    this.#outbox = new Outbox({
      send: (message) => browser.emit("bytes", message),
      isReady: () => transport.writable,
      onFull: (isFull) => (isFull ? hostd.pause() : hostd.resume()),
    });
    // "ready" follows the kernel's taking of the last message, so at most one of ours waits inside the transport.
    transport.on("ready", () => this.#outbox.flush());
    browser.on("disconnect", () => this.#onBrowserGone());
    hostd.on("data", (chunk) => this.#outbox.push(chunk));
    hostd.on("drain", () => this.#input.open("hostd"));
    // "close" follows; a lost hostd is told by the closed transport, and the browser reconnects.
    hostd.on("error", () => {});
    hostd.on("close", () => this.#onHostdGone());
  }

  /** Tells the browser why and ends both sides. */
  refuse(error: AtollError): void {
    if (this.#isOver) return;
    this.#browser.emit("refused", error.toWire());
    this.#browser.disconnect(true);
    this.#onBrowserGone();
  }

  /** A binary message of the browser. */
  receive(chunk: Buffer): void {
    if (this.#isOver) return;
    const waitMs = Math.max(this.#bytes.take(chunk.length), this.#messages.take(1));
    if (waitMs > 0 && !this.#input.isClosedFor("rate")) {
      this.#input.close("rate");
      this.#after(waitMs, () => this.#input.open("rate"));
    }
    if (this.#hostd.write(chunk) || this.#input.isClosedFor("hostd")) return;
    this.#input.close("hostd");
    const written = this.#hostd.bytesWritten - this.#hostd.writableLength;
    this.#after(HOSTD_STALL_MS, () => this.#checkStall(written));
  }

  /** @param written bytes the kernel had taken when the wait began */
  #checkStall(written: number): void {
    if (!this.#input.isClosedFor("hostd")) return;
    const now = this.#hostd.bytesWritten - this.#hostd.writableLength;
    if (now > written) return this.#after(HOSTD_STALL_MS, () => this.#checkStall(now));
    this.refuse(new AtollError("host.unreachable", "hostd takes no bytes"));
  }

  #onHostdGone(): void {
    if (this.#isOver) return;
    this.#over();
    // hostd's last words, such as RESET of stream 0, reach the browser before the close.
    this.#outbox.drain();
    this.#browser.conn.close();
  }

  #onBrowserGone(): void {
    if (this.#isOver) return;
    this.#over();
    // What the browser already sent, such as a save, still arrives; a stuck hostd gets only so long for it.
    const cancel = this.#clock.schedule(HOSTD_STALL_MS, () => this.#hostd.destroy());
    this.#hostd.once("close", cancel);
    this.#hostd.resume();
    this.#hostd.destroySoon();
  }

  #over(): void {
    this.#isOver = true;
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
  }

  #after(delayMs: number, run: () => void): void {
    const cancel = this.#clock.schedule(delayMs, () => {
      this.#timers.delete(cancel);
      run();
    });
    this.#timers.add(cancel);
  }
}

/** Only the WebSocket transport is enabled; Engine.IO does not declare the field in its types. */
function webSocketOf(transport: unknown): { pause(): void; resume(): void } {
  return (transport as { socket: { pause(): void; resume(): void } }).socket;
}
