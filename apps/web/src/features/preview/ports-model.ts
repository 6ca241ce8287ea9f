import { openChannel } from "@atoll/protocol/call";
import { type ListeningPort, portsWatch } from "@atoll/protocol/messages/ports";
import type { Connection, Link } from "../connection/connection.ts";
import { ModelState } from "../model-state.ts";

/** Lowest port a preview serves. */
const FIRST_PORT = 1024;

/** What listens in the machine right now. */
export class PortsModel {
  /** `isKnown` from the machine's first answer on: before it, no ports does not mean none. */
  readonly state = new ModelState<{ ports: ListeningPort[]; isKnown: boolean }>({
    ports: [],
    isKnown: false,
  });
  readonly #detach: () => void;
  /** A port that was not there before. */
  onDidOpen: (port: ListeningPort) => void = () => {};

  constructor(connection: Connection) {
    this.#detach = connection.onLink((link) => this.#watch(link));
  }

  close(): void {
    this.#detach();
  }

  async #watch({ mux, signal }: Link): Promise<void> {
    const channel = await openChannel(mux, portsWatch, {}, { signal });
    const onAbort = () => channel.stream.reset();
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      this.state.update({ ports: previewable(channel.result.ports), isKnown: true });
      for await (const item of channel.items()) {
        if (item.kind !== "event") continue;
        const known = new Set(this.state.get().ports.map(({ port }) => port));
        const ports = previewable(item.value.ports);
        this.state.update({ ports });
        for (const port of ports) if (!known.has(port.port)) this.onDidOpen(port);
      }
    } finally {
      signal.removeEventListener("abort", onAbort);
      channel.stream.reset();
    }
  }
}

/** One row for each number: a server on IPv4 and IPv6 is one server. */
function previewable(ports: ListeningPort[]): ListeningPort[] {
  const byPort = new Map(ports.filter(({ port }) => port >= FIRST_PORT).map((port) => [port.port, port]));
  return [...byPort.values()].sort((a, b) => a.port - b.port);
}
