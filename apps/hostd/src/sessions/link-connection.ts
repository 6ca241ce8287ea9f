/**
 * One connection of the gateway: a browser tab or a preview. Its first message says which; until it is accepted nothing
 * else is listened to. Then streams are passed to the guest as the message's declaration allows.
 * Length: three kinds of connection share one hello, one transport and one end.
 */
import { randomUUID } from "node:crypto";
import type { Socket } from "node:net";
import type { Clock } from "@atoll/base/clock";
import { withDeadline } from "@atoll/base/with-deadline";
import { AtollError, toAtollError } from "@atoll/protocol/atoll-error";
import { STREAMS_PER_SESSION } from "@atoll/protocol/limits";
import type { Caller } from "@atoll/protocol/message";
import type { IncomingOpen } from "@atoll/protocol/mux";
import { type RelayListeners, relayStream } from "@atoll/protocol/relay-stream";
import {
  type ConnectionHello,
  connectionHello,
  type SessionCommand,
  type SessionEvent,
  sessionCommand,
} from "@atoll/protocol/session-hello";
import type { SessionTicketClaims } from "@atoll/protocol/tickets";
import type { WorkspaceStatus } from "@atoll/protocol/workspace-status";
import type { Logger } from "pino";
import type { GuestLink } from "../link/guest-link.ts";
import { GUEST_MESSAGES } from "../link/guest-messages.ts";
import { MuxTransport } from "../link/mux-transport.ts";
import type { ViewUse } from "../views/view.ts";
import type { ViewRegistry } from "../views/view-registry.ts";
import type { StatusFeed } from "../workspaces/status-feed.ts";
import type { Workspace } from "../workspaces/workspace.ts";
import type { WorkspaceRegistry } from "../workspaces/workspace-registry.ts";
import { PreviewTraffic } from "./preview-traffic.ts";
import { inputByFrame, inputByOpening } from "./session-input.ts";
import type { SessionRegistry } from "./session-registry.ts";
import { startsByItself, wasEndedByHost } from "./starts-by-itself.ts";
import type { TicketVerifier } from "./ticket-verifier.ts";

export interface LinkConnectionOptions {
  socket: Socket;
  workspaces: Pick<WorkspaceRegistry, "find" | "refuseDamaged">;
  sessions: SessionRegistry;
  views: Pick<ViewRegistry, "open">;
  tickets: Pick<TicketVerifier, "verify">;
  feed: StatusFeed;
  clock: Clock;
  logger: Logger;
  onClosed: () => void;
}

export const HELLO_DEADLINE_MS = 5000;
/** A browser loads a page over many connections, and one gateway connection may carry several tabs of it. */
const STREAMS_PER_PREVIEW = 1024;
/** How long a preview request waits for its paused workspace. */
const PREVIEW_WAKE_MS = 60_000;

export class LinkConnection {
  readonly #options: LinkConnectionOptions;
  readonly #transport: MuxTransport;
  readonly #releases: Array<() => void> = [];
  #caller: Extract<Caller, "session" | "preview"> | undefined;
  #workspace: Workspace | undefined;
  /** Instead of the workspace's own guest. */
  #view: ViewUse | undefined;
  #hasHello = false;
  #isClosed = false;
  #unsentStatus: WorkspaceStatus | undefined;

  constructor(options: LinkConnectionOptions) {
    this.#options = options;
    this.#transport = new MuxTransport({
      duplex: options.socket,
      side: "server",
      maxStreams: STREAMS_PER_PREVIEW,
      onOpen: (open) => this.#onOpen(open),
      onConnectionMessage: (message) => this.#onMessage(message),
      onClosed: () => this.#closed(),
      mayRead: () => this.#mayRead(),
    });
    const cancel = options.clock.schedule(HELLO_DEADLINE_MS, () => {
      // A view takes its time to open, within deadlines of its own.
      if (this.#caller === undefined && this.#view === undefined) {
        this.end(new AtollError("request.timeout", "no hello"));
      }
    });
    this.#releases.push(cancel);
    this.#transport.start();
  }

  end(error: AtollError): void {
    this.#transport.close(error);
  }

  notify(code: string): void {
    this.#send({ type: "notice", code });
  }

  #onMessage(message: unknown): void {
    if (!this.#hasHello) {
      this.#hasHello = true;
      const hello = connectionHello.safeParse(message);
      if (!hello.success) return this.end(new AtollError("request.invalid", hello.error.message));
      void this.#accept(hello.data).catch((error: unknown) => this.#refuse(error));
      return;
    }
    const command = sessionCommand.safeParse(message);
    const workspace = this.#workspace;
    if (!command.success || workspace === undefined || this.#caller !== "session") {
      return this.end(new AtollError("request.invalid", "unknown command"));
    }
    // A view leaves the workspace as it is, whatever its tab does.
    if (this.#view === undefined) this.#obey(command.data, workspace);
  }

  #obey(command: SessionCommand, workspace: Workspace): void {
    if (command.type === "wake") return this.#wake(workspace);
    workspace.meter.markInput("workbench");
  }

  async #accept(hello: ConnectionHello): Promise<void> {
    if (hello.type === "session") {
      const claims = await this.#options.tickets.verify(hello.ticket);
      if (this.#isClosed) return;
      const workspace = this.#find(claims.workspaceId, claims.sub);
      if (claims.view !== undefined)
        return await this.#acceptView(claims, claims.view.checkpointId, workspace);
      const { tabId, takeOver } = hello;
      const { release, isNewTab } = this.#options.sessions.admitSession(claims, {
        connection: this,
        tabId,
        takeOver,
      });
      this.#releases.push(release);
      // Opening a tab is somebody's act; reconnecting is not.
      if (isNewTab) workspace.meter.markInput("workbench");
      this.#accepted("session", workspace, workspace.status);
      this.#releases.push(this.#options.feed.on(workspace.id, (status) => this.#sendStatus(status)));
      if (wasEndedByHost(workspace)) this.#wake(workspace);
      return;
    }
    const { workspaceId, userId, authSessionId, grantedAtMs } = hello;
    const workspace = this.#find(workspaceId, userId);
    const member = { connection: this, workspaceId, userId, authSessionId };
    this.#releases.push(this.#options.sessions.admitPreview(member, grantedAtMs));
    this.#accepted("preview", workspace, workspace.status);
  }

  /**
   * Accepted once its files can be read. It counts to no limit and is announced nowhere; signing out and erasing end it
   * like any other connection.
   */
  async #acceptView(
    claims: SessionTicketClaims,
    checkpointId: string | null,
    workspace: Workspace,
  ): Promise<void> {
    const { sub: userId, authSessionId, workspaceId } = claims;
    const { sessions, views } = this.#options;
    this.#releases.push(sessions.admitView({ connection: this, workspaceId, userId, authSessionId }, claims));
    const view = views.open(workspace, checkpointId);
    this.#releases.push(() => view.release());
    this.#view = view;
    void view.ended.then((error) => this.end(error));
    const { isRepaired } = await view.ready;
    if (this.#isClosed) return;
    this.#accepted("session", workspace, workspace.status);
    if (isRepaired) this.notify("view.repaired");
  }

  /** Somebody else's workspace answers exactly like none. */
  #find(workspaceId: string, userId: string): Workspace {
    const { workspaces } = this.#options;
    workspaces.refuseDamaged(workspaceId, userId);
    const workspace = workspaces.find(workspaceId);
    if (workspace === undefined || workspace.record.ownerId !== userId)
      throw new AtollError("workspace.not_found");
    if (workspace.isDeleted) throw new AtollError("workspace.deleted");
    return workspace;
  }

  #accepted(caller: "session" | "preview", workspace: Workspace, status: WorkspaceStatus): void {
    this.#caller = caller;
    this.#workspace = workspace;
    this.#send({ type: "accepted", sessionId: randomUUID(), status });
  }

  #refuse(cause: unknown): void {
    const error = toAtollError(cause);
    if (error.code === "internal") this.#options.logger.error({ err: error }, "hello failed");
    this.end(error);
  }

  #wake(workspace: Workspace): void {
    workspace.meter.markInput("workbench");
    workspace.start("session_opened").catch((cause: unknown) => this.#notice(cause));
  }

  #notice(cause: unknown): void {
    const { code, details } = toAtollError(cause);
    this.#send({ type: "notice", code, ...(details === undefined ? {} : { details }) });
  }

  #onOpen(open: IncomingOpen): void {
    const caller = this.#caller;
    const workspace = this.#workspace;
    if (caller === undefined || workspace === undefined) {
      return open.refuse(new AtollError("auth.required", "stream before the hello was accepted"));
    }
    if (caller === "session" && this.#transport.mux.streamCount > STREAMS_PER_SESSION) {
      return open.refuse(
        new AtollError("link.stream_limit", undefined, { details: { limit: STREAMS_PER_SESSION } }),
      );
    }
    const definition = GUEST_MESSAGES.get(open.name);
    if (definition === undefined) return open.refuse(new AtollError("link.too_old", "unknown message"));
    if (!definition.callers.includes(caller)) return open.refuse(new AtollError("auth.forbidden"));
    if (caller === "session") this.#openForSession(open, workspace);
    else this.#openForPreview(open, workspace);
  }

  #openForSession(open: IncomingOpen, workspace: Workspace): void {
    if (this.#view !== undefined) return this.#relay(open, this.#view.guest, {});
    const { meter } = workspace;
    const mark = (detail: string | undefined) => {
      if (detail !== undefined) meter.markInput(detail);
    };
    mark(inputByOpening(open.name));
    this.#relay(open, workspace.guest, {
      onFrame: (from, frame) => {
        if (from === "near") mark(inputByFrame(open.name, frame));
      },
    });
  }

  #openForPreview(open: IncomingOpen, workspace: Workspace): void {
    const traffic = new PreviewTraffic(open.params, workspace.meter);
    void this.#ensureRunning(workspace).then(
      () => {
        traffic.opened();
        this.#relay(open, workspace.guest, {
          onFrame: (from, frame) => (from === "near" ? traffic.fromCaller(frame) : traffic.fromGuest(frame)),
        });
      },
      (cause: unknown) => open.refuse(toAtollError(cause)),
    );
  }

  #relay(open: IncomingOpen, guest: GuestLink | undefined, listeners: RelayListeners): void {
    try {
      if (guest === undefined) throw new AtollError("workspace.not_running");
      if (guest.mux === undefined) throw new AtollError("link.lost");
      relayStream(open, guest.mux, listeners);
    } catch (error) {
      open.refuse(toAtollError(error));
    }
  }

  async #ensureRunning(workspace: Workspace): Promise<void> {
    if (workspace.guest !== undefined) return;
    const { clock } = this.#options;
    const { state } = workspace.record;
    // Stopped on purpose stays stopped: only a person in front of the IDE starts it.
    if (!startsByItself(workspace) && !["creating", "resuming", "pausing"].includes(state)) {
      throw new AtollError("workspace.not_running");
    }
    await withDeadline(workspace.start("session_opened"), {
      timeoutMs: PREVIEW_WAKE_MS,
      clock,
      onTimeout: () => new AtollError("request.timeout", "the workspace did not wake in time"),
    });
  }

  #sendStatus(status: WorkspaceStatus): void {
    if (!this.#transport.isBlocked) return this.#send({ type: "status", status });
    // A reader that is behind gets the newest only; what it missed is in it.
    const isWaiting = this.#unsentStatus !== undefined;
    this.#unsentStatus = status;
    if (isWaiting) return;
    this.#transport.onceDrained(() => {
      const unsent = this.#unsentStatus;
      this.#unsentStatus = undefined;
      if (unsent !== undefined) this.#sendStatus(unsent);
    });
  }

  #send(event: SessionEvent): void {
    if (!this.#isClosed) this.#transport.mux.sendConnectionEvent(event);
  }

  /** A guest that takes nothing stops the tabs that feed it, each at its own socket. */
  #mayRead(): boolean {
    const guest = this.#view === undefined ? this.#workspace?.guest : this.#view.guest;
    if (guest === undefined || !guest.isBlocked) return true;
    guest.onceDrained(() => this.#transport.resumeReading());
    return false;
  }

  #closed(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#unsentStatus = undefined;
    for (const release of this.#releases.splice(0).reverse()) release();
    this.#options.onClosed();
  }
}
