/** One connection to hostd on behalf of one viewer of one workspace; carries the streams to its ports. */
import type { Socket } from "node:net";
import type { Clock } from "@atoll/base/clock";
import { deferred } from "@atoll/base/deferred";
import { withDeadline } from "@atoll/base/with-deadline";
import { AtollError, toAtollError } from "@atoll/protocol/atoll-error";
import { openChannel } from "@atoll/protocol/call";
import { portsConnect } from "@atoll/protocol/messages/ports";
import { Mux } from "@atoll/protocol/mux";
import { sessionEvent } from "@atoll/protocol/session-hello";
import type { WorkspaceStatus } from "@atoll/protocol/workspace-status";
import { PortSocket } from "./port-socket.ts";
import {
  GUEST_CONNECT_TIMEOUT_MS,
  HOSTD_ANSWER_TIMEOUT_MS,
  HOSTD_IDLE_MS,
  STREAMS_PER_VIEWER,
  WAKE_HOLD_MS,
} from "./preview-limits.ts";

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
  readonly #accepted = deferred<WorkspaceStatus>();
  /** Running when hostd accepted, or woken through this connection since; its streams keep it so. */
  #isAwake = false;
  #wasConnected = false;
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
      maxStreams: STREAMS_PER_VIEWER,
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
   * Waits for hostd's word that the viewer may enter. A resting workspace is woken by the first stream to it.
   * @param canWake false for background requests of a page left open: they must not keep a workspace from resting
   * @throws AtollError workspace.not_running with its `state`, workspace.failed, workspace.deleted, or why hostd refused
   */
  async admitted(options: { canWake: boolean; signal: AbortSignal }): Promise<void> {
    const status = await withDeadline(this.#accepted.promise, {
      timeoutMs: HOSTD_ANSWER_TIMEOUT_MS,
      clock: this.#clock,
      signal: options.signal,
      onTimeout: () => new AtollError("host.unreachable", "no answer to the hello"),
    });
    if (this.#isAwake) return;
    if (isFinal(status) || !options.canWake) throw notRunning(status);
    this.#isAwake = true;
  }

  /**
   * Holds on while the workspace wakes, for a while.
   * @throws AtollError port.nothing_listening, port.invalid, workspace.not_running, and those of a lost link
   */
  async openPort(port: number): Promise<PortSocket> {
    const letGo = this.hold();
    try {
      const channel = await openChannel(
        this.#mux,
        portsConnect,
        { port },
        { timeoutMs: this.#wasConnected ? GUEST_CONNECT_TIMEOUT_MS : WAKE_HOLD_MS, clock: this.#clock },
      );
      this.#wasConnected = true;
      void channel.stream.closed.then(letGo);
      return new PortSocket(channel.stream);
    } catch (cause) {
      letGo();
      const isStillWaking = !this.#wasConnected && toAtollError(cause).code === "request.timeout";
      throw isStillWaking ? new AtollError("workspace.not_running", undefined, { cause }) : cause;
    }
  }

  close(): void {
    this.#end(new AtollError("request.aborted"));
  }

  #onMessage(message: unknown): void {
    const event = sessionEvent.safeParse(message);
    if (!event.success || event.data.type === "notice") return;
    const { status } = event.data;
    if (isAwake(status)) this.#isAwake = true;
    this.#accepted.resolve(status);
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
    this.#accepted.reject(error);
    this.#mux.lost(error);
    this.#socket.destroySoon();
    this.#onOver();
  }
}

function isAwake({ state }: WorkspaceStatus): boolean {
  return state === "running" || state === "creating" || state === "resuming";
}

function isFinal(status: WorkspaceStatus): boolean {
  return ["failed", "archived", "deleting", "erased"].includes(status.state);
}

function notRunning(status: WorkspaceStatus): AtollError {
  if (status.state === "failed") return new AtollError("workspace.failed");
  if (status.state === "deleting" || status.state === "erased") return new AtollError("workspace.deleted");
  return new AtollError("workspace.not_running", undefined, { details: { state: status.state } });
}
