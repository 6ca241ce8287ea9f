import type { Clock } from "@atoll/base/clock";
import type { ListeningPort } from "@atoll/protocol/messages/ports";
import type { MuxStream } from "@atoll/protocol/mux-stream";
import { LatestSender } from "../link/latest-sender.ts";
import { type ListeningSocket, readListeningSockets } from "./listening-sockets.ts";
import { findSocketOwners, type SocketOwner } from "./socket-owner.ts";

const INTERVAL_MS = 1000;
/** More are no list for people. */
const PORTS_MAX = 1000;

export interface PortWatchOptions {
  clock: Clock;
  /** Ports of the agent itself. */
  reservedPorts: ReadonlySet<number>;
  log: (line: string) => void;
}

/** Who listens in the guest. Looks once a second while somebody watches, and not at all otherwise. */
export class PortWatch {
  readonly #options: PortWatchOptions;
  readonly #watchers = new Set<LatestSender>();
  readonly #owners = new Map<string, SocketOwner>();
  #told = "";
  #cancelNext: (() => void) | undefined;

  constructor(options: PortWatchOptions) {
    this.#options = options;
  }

  async watch(stream: MuxStream): Promise<void> {
    const ports = await this.#look();
    if (stream.isOver) return;
    stream.sendReply({ ports });
    const watcher = new LatestSender(stream);
    this.#watchers.add(watcher);
    void stream.closed.then(() => this.#leave(watcher));
    if (this.#watchers.size === 1) {
      this.#told = JSON.stringify(ports);
      this.#scheduleNext();
    } else if (JSON.stringify(ports) !== this.#told) this.#tell(ports);
    for await (const _item of stream) {
      // Nothing is expected from the watcher; its END ends the watch.
    }
    this.#leave(watcher);
  }

  #leave(watcher: LatestSender): void {
    this.#watchers.delete(watcher);
    if (this.#watchers.size > 0) return;
    this.#cancelNext?.();
    this.#cancelNext = undefined;
  }

  #scheduleNext(): void {
    this.#cancelNext = this.#options.clock.schedule(INTERVAL_MS, () => {
      this.#look().then(
        (ports) => {
          if (this.#watchers.size === 0) return;
          if (JSON.stringify(ports) !== this.#told) this.#tell(ports);
          this.#scheduleNext();
        },
        (cause: unknown) => {
          this.#options.log(`looking for ports failed: ${String(cause)}`);
          if (this.#watchers.size > 0) this.#scheduleNext();
        },
      );
    });
  }

  #tell(ports: ListeningPort[]): void {
    this.#told = JSON.stringify(ports);
    for (const watcher of this.#watchers) watcher.send("ports", { type: "ports", ports });
  }

  async #look(): Promise<ListeningPort[]> {
    const sockets = (await readListeningSockets())
      .filter(({ port }) => port > 0 && !this.#options.reservedPorts.has(port))
      .sort((a, b) => a.port - b.port || (a.address < b.address ? -1 : 1))
      // One socket per process with SO_REUSEPORT: it is one port to people.
      .filter((socket, index, all) => !isSamePlace(socket, all[index - 1]))
      .slice(0, PORTS_MAX);
    await this.#learnOwners(sockets);
    return sockets.map(({ port, address, inode }) => ({ port, address, ...this.#owners.get(inode) }));
  }

  async #learnOwners(sockets: ListeningSocket[]): Promise<void> {
    const present = new Set(sockets.map(({ inode }) => inode));
    for (const inode of this.#owners.keys()) if (!present.has(inode)) this.#owners.delete(inode);
    const unknown = new Set([...present].filter((inode) => !this.#owners.has(inode)));
    if (unknown.size === 0) return;
    const found = await findSocketOwners(unknown);
    for (const inode of unknown) {
      const owner = found.get(inode);
      if (owner !== undefined) this.#owners.set(inode, owner);
    }
  }
}

function isSamePlace(a: ListeningSocket, b: ListeningSocket | undefined): boolean {
  return b !== undefined && a.port === b.port && a.address === b.address;
}
