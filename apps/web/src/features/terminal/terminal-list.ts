/** The machine's terminals, shared by all tabs of the workspace. The machine keeps the list; this follows it. */
import { call, openChannel } from "@atoll/protocol/call";
import {
  type TerminalInfo,
  terminalClose,
  terminalOpen,
  terminalWatch,
} from "@atoll/protocol/messages/terminal";
import type { Connection, Link } from "../connection/connection.ts";
import { ModelState } from "../model-state.ts";

export interface TerminalListState {
  /** Undefined until the machine said. */
  terminals: TerminalInfo[] | undefined;
  activeId: string | undefined;
}

/** Before the panel has been measured; the first attach corrects it. */
const DEFAULT_GRID = { cols: 100, rows: 24 };

export class TerminalList {
  readonly state = new ModelState<TerminalListState>({ terminals: undefined, activeId: undefined });
  readonly #connection: Connection;
  readonly #cwd: string;
  readonly #detach: () => void;

  constructor(options: { connection: Connection; cwd: string }) {
    this.#connection = options.connection;
    this.#cwd = options.cwd;
    this.#detach = options.connection.onLink((link) => this.#watch(link));
  }

  async open(): Promise<void> {
    const { mux, signal } = this.#connection.link;
    const info = await call(mux, terminalOpen, { ...DEFAULT_GRID, cwd: this.#cwd }, { signal });
    const { terminals = [] } = this.state.get();
    const isListed = terminals.some(({ terminalId }) => terminalId === info.terminalId);
    this.state.update({
      terminals: isListed ? terminals : [...terminals, info],
      activeId: info.terminalId,
    });
  }

  /** Ends its shell. */
  async kill(terminalId: string): Promise<void> {
    const { mux, signal } = this.#connection.link;
    await call(mux, terminalClose, { terminalId }, { signal });
  }

  activate(terminalId: string): void {
    this.state.update({ activeId: terminalId });
  }

  close(): void {
    this.#detach();
  }

  async #watch({ mux, signal }: Link): Promise<void> {
    const channel = await openChannel(mux, terminalWatch, {}, { signal });
    const onAbort = () => channel.stream.reset();
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      this.#take(channel.result.terminals);
      // A workspace without a terminal is an empty room.
      if (channel.result.terminals.length === 0) await this.open();
      for await (const item of channel.items()) {
        if (item.kind !== "event") continue;
        this.#take(item.value.terminals);
        this.#closeEnded(item.value.terminals);
      }
    } finally {
      signal.removeEventListener("abort", onAbort);
      channel.stream.reset();
    }
  }

  /** A shell that was left with `exit` goes at once; one that failed stays, so that its last words can be read. */
  #closeEnded(terminals: TerminalInfo[]): void {
    for (const { terminalId, exit } of terminals) {
      // Another tab of the workspace may have been quicker.
      if (exit?.exitCode === 0) this.kill(terminalId).catch(() => {});
    }
  }

  #take(terminals: TerminalInfo[]): void {
    const { activeId, terminals: before = [] } = this.state.get();
    const ids = terminals.map(({ terminalId }) => terminalId);
    if (activeId !== undefined && ids.includes(activeId)) return this.state.update({ terminals });
    // The neighbour of the one that went, as in every list of tabs.
    const at = Math.max(
      0,
      before.findIndex(({ terminalId }) => terminalId === activeId),
    );
    this.state.update({ terminals, activeId: ids[Math.min(at, ids.length - 1)] });
  }
}
