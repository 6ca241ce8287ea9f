/** One connection to hostd on behalf of one viewer of one workspace; carries the streams to its ports. */
import type { Socket } from "node:net";
import type { Clock } from "@atoll/base/clock";
import { deferred } from "@atoll/base/deferred";
import { withDeadline } from "@atoll/base/with-deadline";
import { AtollError } from "@atoll/protocol/atoll-error";
import { openChannel } from "@atoll/protocol/call";
import { STREAMS_PER_SESSION } from "@atoll/protocol/limits";
import { portsConnect } from "@atoll/protocol/messages/ports";
import { Mux } from "@atoll/protocol/mux";
import { sessionEvent } from "@atoll/protocol/session-hello";
import type { WorkspaceStatus } from "@atoll/protocol/workspace-status";
import { PortSocket } from "./port-socket.ts";
import { HOSTD_ANSWER_TIMEOUT_MS, HOSTD_IDLE_MS, WAKE_HOLD_MS } from "./preview-limits.ts";

export interface PreviewConnectionOptions {
  /** Connected, hello sent; owned from here on. */
  socket: Socket;
  clock: Clock;
  onOver: () => void;
}

export class PreviewConnection {
  readonly #socket: Socket;
  readonly #clock: Clock;
  readonly #mux: Mux;
  readonly #onOver: () => void;
  #status: WorkspaceStatus | undefined;
  /** Resolves at the next status, or at the end. */
  #changed = deferred<void>();
  #endedBy: AtollError | undefined;
  #users = 0;
  #cancelIdle: (() => void) | undefined;

  constructor(options: PreviewConnectionOptions) {
    const { socket } = options;
    this.#socket = socket;
    this.#clock = options.clock;
    this.#onOver = options.onOver;
    this.#mux = new Mux({
      side: "client",
      maxStreams: STREAMS_PER_SESSION,
      send: (bytes) => this.#send(bytes),
      onOpen: (open) => open.refuse(new AtollError("request.unknown")),
      onConnectionMessage: (message) => this.#onMessage(message),
      onFatal: (error) => this.#end(error),
    });
    socket.on("data", (chunk) => this.#mux.receive(chunk));
    socket.on("drain", () => this.#mux.drained());
    socket.on("error", () => {});
    socket.on("close", () => this.#end(new AtollError("link.lost")));
    this.#watchIdle();
  }

  get isOver(): boolean {
    return this.#endedBy !== undefined;
  }

  /** Keeps the connection while something may use it. The returned function lets go, once. */
  hold(): () => void {
    this.#users += 1;
    this.#cancelIdle?.();
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.#users -= 1;
      this.#watchIdle();
    };
  }

  /**
   * Waits for a running workspace, for a while.
   * @param canWake false for background requests of a page left open: they must not keep a workspace from resting
   * @throws AtollError workspace.not_running with its `state`, workspace.failed, workspace.deleted, or why hostd refused
   */
  async running(options: { canWake: boolean; signal: AbortSignal }): Promise<void> {
    const { canWake, signal } = options;
    const startedAt = this.#clock.monotonic();
    for (;;) {
      if (this.#endedBy) throw this.#endedBy;
      const status = this.#status;
      if (status?.state === "running") return;
      if (status !== undefined) {
        const isResting = status.state === "paused" || status.state === "stopped";
        if (isFinal(status) || (isResting && !canWake)) throw notRunning(status);
        if (isResting) this.#mux.sendConnectionEvent({ type: "wake" });
      }
      const holdMs = status === undefined ? HOSTD_ANSWER_TIMEOUT_MS : WAKE_HOLD_MS;
      await withDeadline(this.#changed.promise, {
        timeoutMs: Math.max(0, startedAt + holdMs - this.#clock.monotonic()),
        clock: this.#clock,
        signal,
        onTimeout: () =>
          status === undefined ? new AtollError("host.unreachable", "no answer") : notRunning(status),
      });
    }
  }

  /** @throws AtollError port.nothing_listening, port.invalid, and those of a lost link */
  async openPort(port: number, signal?: AbortSignal): Promise<PortSocket> {
    const letGo = this.hold();
    try {
      const channel = await openChannel(
        this.#mux,
        portsConnect,
        { port },
        { timeoutMs: HOSTD_ANSWER_TIMEOUT_MS, clock: this.#clock, signal },
      );
      void channel.stream.closed.then(letGo);
      return new PortSocket(channel.stream);
    } catch (error) {
      letGo();
      throw error;
    }
  }

  close(): void {
    this.#end(new AtollError("request.aborted"));
  }

  #onMessage(message: unknown): void {
    const event = sessionEvent.safeParse(message);
    if (!event.success || event.data.type === "notice") return;
    this.#status = event.data.status;
    this.#announceChange();
  }

  #announceChange(): void {
    const changed = this.#changed;
    this.#changed = deferred();
    changed.resolve();
  }

  #send(bytes: Uint8Array): boolean {
    if (this.#socket.writableCorked === 0) {
      // Frames of one turn leave as one write.
      this.#socket.cork();
      process.nextTick(() => this.#socket.uncork());
    }
    return this.#socket.write(bytes);
  }

  #watchIdle(): void {
    this.#cancelIdle?.();
    if (this.#users > 0 || this.#endedBy) return;
    this.#cancelIdle = this.#clock.schedule(HOSTD_IDLE_MS, () => this.close());
  }

  #end(error: AtollError): void {
    if (this.#endedBy) return;
    this.#endedBy = error;
    this.#cancelIdle?.();
    this.#announceChange();
    this.#mux.lost(error);
    this.#socket.destroySoon();
    this.#onOver();
  }
}

function isFinal(status: WorkspaceStatus): boolean {
  return ["failed", "archived", "deleting", "erased"].includes(status.state);
}

function notRunning(status: WorkspaceStatus): AtollError {
  if (status.state === "failed") return new AtollError("workspace.failed");
  if (status.state === "deleting" || status.state === "erased") return new AtollError("workspace.deleted");
  return new AtollError("workspace.not_running", undefined, { details: { state: status.state } });
}
