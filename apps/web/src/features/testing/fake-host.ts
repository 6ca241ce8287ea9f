/** The far end of a connection, in memory: a real mux that a test scripts as hostd and the machine's agent. */
import { AtollError } from "@atoll/protocol/atoll-error";
import { Dispatcher } from "@atoll/protocol/dispatcher";
import type { SocketAuth } from "@atoll/protocol/gateway-events";
import { Mux } from "@atoll/protocol/mux";
import type { SessionEvent } from "@atoll/protocol/session-hello";
import type { WorkspaceStatus } from "@atoll/protocol/workspace-status";
import type { OpenTransport, TransportEvents } from "../connection/session-transport.ts";

const ID = "00000000-0000-4000-8000-000000000000";

export const runningStatus: WorkspaceStatus = {
  workspaceId: ID,
  ownerId: ID,
  state: "running",
  reason: "requested",
  sinceMs: 0,
  generation: 1,
  sessionCount: 1,
  isolation: "emulated",
  egress: "packages",
};

export class FakeHost {
  readonly auths: SocketAuth[] = [];
  readonly commands: unknown[] = [];
  /** What the machine answers; add handlers before a link is up. */
  agent = new Dispatcher(() => {});
  #events: TransportEvents | undefined;
  #mux: Mux | undefined;

  readonly openTransport: OpenTransport = (auth, events) => {
    const mux = new Mux({
      side: "server",
      send: (bytes) => {
        queueMicrotask(() => {
          if (this.#events === events) events.onBytes(bytes);
        });
        return true;
      },
      maxStreams: 128,
      onOpen: (open) => this.agent.dispatch(open, "session"),
      onConnectionMessage: (message) => this.commands.push(message),
      onFatal: () => {},
    });
    this.#events = events;
    this.#mux = mux;
    void auth().then((value) => this.auths.push(value));
    return {
      send: (bytes) => {
        queueMicrotask(() => mux.receive(bytes));
        return true;
      },
      close: () => {
        if (this.#events === events) this.#events = undefined;
        mux.lost(new AtollError("link.lost"));
      },
    };
  };

  async accepts(status: WorkspaceStatus = runningStatus): Promise<void> {
    await this.settled();
    const accepted: SessionEvent = { type: "accepted", sessionId: ID, status };
    this.#mux?.sendHello(accepted);
    await this.settled();
  }

  async reports(status: WorkspaceStatus): Promise<void> {
    const event: SessionEvent = { type: "status", status };
    this.#mux?.sendConnectionEvent(event);
    await this.settled();
  }

  async notices(code: string): Promise<void> {
    const event: SessionEvent = { type: "notice", code };
    this.#mux?.sendConnectionEvent(event);
    await this.settled();
  }

  /** As hostd does it: RESET of stream 0, then the transport closes. */
  async refuses(error: AtollError): Promise<void> {
    await this.settled();
    const events = this.#events;
    this.#mux?.close(error);
    await this.settled();
    events?.onClosed(new AtollError("link.lost"));
  }

  cut(error: AtollError): void {
    const events = this.#events;
    this.#events = undefined;
    this.#mux?.lost(error);
    events?.onClosed(error);
  }

  /** Everything that is on its way in memory has arrived. */
  async settled(): Promise<void> {
    for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  }
}
