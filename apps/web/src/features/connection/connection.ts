/**
 * One tab's way to its workspace: gets a ticket, keeps a socket, and offers a `link` while the machine runs.
 * Whatever lives in the machine attaches through `onLink` and is attached again by itself after every loss.
 */
import type { Clock } from "@atoll/base/clock";
import { AtollError, toAtollError } from "@atoll/protocol/atoll-error";
import type { SocketAuth } from "@atoll/protocol/gateway-events";
import { STREAMS_PER_SESSION } from "@atoll/protocol/limits";
import { Mux } from "@atoll/protocol/mux";
import { type SessionCommand, type SessionEvent, sessionEvent } from "@atoll/protocol/session-hello";
import type { WorkspaceStatus } from "@atoll/protocol/workspace-status";
import { ModelState } from "../model-state.ts";
import { canRetry, retryDelayMs } from "./reconnect-policy.ts";
import type { OpenTransport, SessionTransport } from "./session-transport.ts";

export type ConnectionPhase =
  | { name: "connecting"; attempt: number }
  | { name: "connected" }
  | { name: "waiting"; error: AtollError; retryAtMs: number; attempt: number }
  /** Trying again does not help; the person chooses. */
  | { name: "refused"; error: AtollError };

export interface ConnectionState {
  phase: ConnectionPhase;
  /** Last word of hostd; kept while disconnected. */
  status: WorkspaceStatus | undefined;
  /** A link was up at least once: from then on a loss is a reconnect, not a start. */
  wasLinked: boolean;
  /** A sleeping machine was asked to come back, and has neither come nor refused. */
  isWaking: boolean;
  /** Why the last attempt to wake it came to nothing. */
  wakeError: AtollError | undefined;
  /** Of a view: the file system was damaged and what could be repaired is shown. */
  isRepaired: boolean;
}

export interface Link {
  readonly mux: Mux;
  /** Aborts when the machine pauses or the connection is lost. */
  readonly signal: AbortSignal;
}

export interface ConnectionOptions {
  openTransport: OpenTransport;
  fetchTicket: () => Promise<string>;
  /** Kept over reloads of the tab, so that it never counts twice. */
  tabId: string;
  /**
   * `workspace`: opening the page resumes a sleeping machine. `restored-tab`: the browser brought the page back by
   * itself, so nothing wakes until somebody asks. `view`: stored files, readable from the acceptance on
   * whatever the workspace does; its status is only told.
   */
  purpose?: "workspace" | "restored-tab" | "view";
  clock: Clock;
  random?: () => number;
}

/** Hostd answers the hello or refuses it; silence is a loss. */
const ACCEPT_TIMEOUT_MS = 15_000;
/** A view is accepted once its machine is up and the disk mounted. */
const VIEW_ACCEPT_TIMEOUT_MS = 90_000;
/** A stream reset while the machine runs: its agent or link is coming back. */
const REATTACH_DELAY_MS = 300;
const REATTACH_DELAY_MAX_MS = 5_000;
const ASLEEP = new Set<WorkspaceStatus["state"]>(["paused", "stopped", "archived"]);

export class Connection {
  readonly state = new ModelState<ConnectionState>({
    phase: { name: "connecting", attempt: 0 },
    status: undefined,
    wasLinked: false,
    isWaking: false,
    wakeError: undefined,
    isRepaired: false,
  });
  readonly #options: ConnectionOptions;
  readonly #runs = new Set<(link: Link) => Promise<void>>();
  #transport: SessionTransport | undefined;
  #mux: Mux | undefined;
  #link: (Link & { abort: AbortController }) | undefined;
  #attempt = 0;
  #shouldTakeOver = false;
  #shouldWake: boolean;
  #cancelTimer: () => void = () => {};
  #isClosed = false;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#shouldWake = (options.purpose ?? "workspace") === "workspace";
    this.state.update({ isWaking: this.#shouldWake });
  }

  /** @throws AtollError link.lost when there is none right now. */
  get link(): Link {
    if (this.#link) return this.#link;
    throw new AtollError("link.lost", "no link to the machine right now");
  }

  get hasLink(): boolean {
    return this.#link !== undefined;
  }

  get #isView(): boolean {
    return this.#options.purpose === "view";
  }

  start(): void {
    this.#connect();
  }

  /** Skips the countdown. */
  reconnectNow(): void {
    const { phase } = this.state.get();
    if (phase.name === "waiting" || phase.name === "refused") this.#connect();
  }

  /** Ends the oldest other tab of this workspace and takes its place. */
  takeOver(): void {
    this.#shouldTakeOver = true;
    this.#connect();
  }

  /** Resumes a paused or stopped workspace. */
  wake(): void {
    this.state.update({ isWaking: true, wakeError: undefined });
    if (!this.#tell({ type: "wake" })) this.#shouldWake = true;
  }

  /** Somebody types here while there is no link: a machine that sleeps, or is found asleep once it is reached, comes back. */
  typedWithoutLink(): void {
    const { phase, status, isWaking } = this.state.get();
    if (this.#link || isWaking) return;
    if (phase.name !== "connected") this.#shouldWake = true;
    else if (status && ASLEEP.has(status.state)) this.wake();
  }

  /** Somebody is at this tab. */
  tellActive(): void {
    this.#tell({ type: "active" });
  }

  /**
   * Runs `attach` on the present link and on every later one; it should last as long as what it serves. When
   * it fails although the link is up, it is run again after a while. The returned function ends it.
   */
  onLink(attach: (link: Link) => Promise<void>): () => void {
    const stop = new AbortController();
    const run = async ({ mux, signal }: Link) => {
      const link = { mux, signal: AbortSignal.any([signal, stop.signal]) };
      for (let attempt = 0; !link.signal.aborted; attempt += 1) {
        try {
          return await attach(link);
        } catch (cause) {
          if (link.signal.aborted || !canRetry(toAtollError(cause))) return;
        }
        await this.#pause(Math.min(REATTACH_DELAY_MS * 2 ** attempt, REATTACH_DELAY_MAX_MS), link.signal);
      }
    };
    this.#runs.add(run);
    if (this.#link) void run(this.#link);
    return () => {
      this.#runs.delete(run);
      stop.abort(new AtollError("request.aborted"));
    };
  }

  close(): void {
    this.#isClosed = true;
    this.#drop(new AtollError("request.aborted", "page left"));
  }

  #tell(command: SessionCommand): boolean {
    if (!this.#mux || this.state.get().phase.name !== "connected") return false;
    this.#mux.sendConnectionEvent(command);
    return true;
  }

  #connect(): void {
    if (this.#isClosed) return;
    this.#drop(new AtollError("link.lost"));
    this.state.update({ phase: { name: "connecting", attempt: this.#attempt } });
    // An attempt that was given up may still speak; only the present one is heard.
    const lost = (error: AtollError) => {
      if (this.#mux === mux) this.#lost(error);
    };
    const transport = this.#options.openTransport(() => this.#auth(), {
      onBytes: (chunk) => mux.receive(chunk),
      onDrain: () => mux.drained(),
      onClosed: lost,
    });
    const mux: Mux = new Mux({
      side: "client",
      send: (bytes) => transport.send(bytes),
      maxStreams: STREAMS_PER_SESSION,
      onOpen: (open) => open.refuse(new AtollError("request.unknown")),
      onConnectionMessage: (message) => this.#onMessage(message),
      onFatal: lost,
    });
    this.#transport = transport;
    this.#mux = mux;
    const timeoutMs = this.#isView ? VIEW_ACCEPT_TIMEOUT_MS : ACCEPT_TIMEOUT_MS;
    this.#cancelTimer = this.#options.clock.schedule(timeoutMs, () =>
      this.#lost(new AtollError("request.timeout", "no answer to the hello")),
    );
  }

  async #auth(): Promise<SocketAuth> {
    const ticket = await this.#options.fetchTicket();
    return { ticket, tabId: this.#options.tabId, takeOver: this.#shouldTakeOver };
  }

  #onMessage(message: unknown): void {
    const parsed = sessionEvent.safeParse(message);
    // A newer host may say more; what we do not know is not for us.
    if (!parsed.success) return;
    if (parsed.data.type === "notice") return this.#onNotice(parsed.data);
    const { status } = parsed.data;
    if (parsed.data.type === "accepted") {
      this.#cancelTimer();
      this.#attempt = 0;
      this.#shouldTakeOver = false;
      this.state.update({ phase: { name: "connected" }, status });
      if (this.#shouldWake && status.state !== "running") this.wake();
      else this.state.update({ isWaking: false });
      this.#shouldWake = false;
    } else {
      this.state.update({ status });
      if (status.state === "running" || (ASLEEP.has(status.state) && status.errorCode !== undefined))
        this.state.update({ isWaking: false });
      if (status.state === "running") this.state.update({ wakeError: undefined });
    }
    if (this.#isView || status.state === "running") this.#raiseLink();
    else this.#dropLink(new AtollError("workspace.not_running"));
  }

  #onNotice({ code, details }: Extract<SessionEvent, { type: "notice" }>): void {
    if (code === "view.repaired") return this.state.update({ isRepaired: true });
    const { isWaking, status } = this.state.get();
    // The answer to a wake that was refused; other notices come in the status as well.
    if (!isWaking || !status || !ASLEEP.has(status.state)) return;
    this.state.update({ isWaking: false, wakeError: AtollError.fromWire({ code, details }) });
  }

  #raiseLink(): void {
    if (this.#link || !this.#mux) return;
    const abort = new AbortController();
    this.#link = { mux: this.#mux, signal: abort.signal, abort };
    this.state.update({ wasLinked: true });
    for (const run of [...this.#runs]) void run(this.#link);
  }

  #dropLink(error: AtollError): void {
    const link = this.#link;
    this.#link = undefined;
    link?.abort.abort(error);
  }

  #lost(error: AtollError): void {
    if (this.#isClosed) return;
    this.#drop(error);
    this.#shouldTakeOver = false;
    if (!canRetry(error)) {
      this.state.update({ phase: { name: "refused", error } });
      return;
    }
    const { clock, random = Math.random } = this.#options;
    const delayMs = retryDelayMs(this.#attempt, random);
    const retryAtMs = clock.now() + delayMs;
    this.state.update({ phase: { name: "waiting", error, retryAtMs, attempt: this.#attempt } });
    this.#attempt += 1;
    this.#cancelTimer = clock.schedule(delayMs, () => this.#connect());
  }

  /** Ends the present attempt and everything on it. */
  #drop(error: AtollError): void {
    this.#cancelTimer();
    this.#dropLink(error);
    const [mux, transport] = [this.#mux, this.#transport];
    this.#mux = undefined;
    this.#transport = undefined;
    mux?.lost(error);
    transport?.close();
  }

  #pause(delayMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#options.clock.schedule(delayMs, resolve);
      signal.addEventListener(
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
