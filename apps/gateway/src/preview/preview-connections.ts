import type { Clock } from "@atoll/base/clock";
import type { Scope } from "@atoll/base/scope";
import { AtollError } from "@atoll/protocol/atoll-error";
import { PREVIEW_GRANT_SECONDS } from "@atoll/protocol/tickets";
import { connectHostd } from "../hostd/connect-hostd.ts";
import { GuestAgents } from "./guest-agents.ts";
import { PreviewConnection } from "./preview-connection.ts";
import type { PreviewGrant } from "./preview-grant.ts";
import { HOSTD_CONNECTIONS_MAX } from "./preview-limits.ts";

export interface Viewer {
  connection: PreviewConnection;
  agents: GuestAgents;
}

/** Lends one connection to hostd for each viewer of a workspace, made at the first request and closed when idle. */
export class PreviewConnections {
  readonly #options: { linkSocketPath: string; clock: Clock; scope: Scope };
  readonly #viewers = new Map<string, Promise<Viewer>>();

  constructor(options: { linkSocketPath: string; clock: Clock; scope: Scope }) {
    this.#options = options;
    options.scope.defer(() => this.#closeAll());
  }

  get size(): number {
    return this.#viewers.size;
  }

  /** Call only with a grant that was checked. @throws AtollError host.unreachable, host.full */
  async borrow(grant: PreviewGrant): Promise<Viewer> {
    // A sign-in is never served through another's connection: hostd ends a connection when its sign-in ends.
    const key = `${grant.workspaceId}/${grant.userId}/${grant.authSessionId}`;
    const known = await this.#viewers.get(key);
    if (known && !known.connection.isOver) return known;
    if (this.#viewers.size >= HOSTD_CONNECTIONS_MAX) throw new AtollError("host.full", "too many previews");
    const pending = this.#viewers.get(key) ?? this.#open(key, grant);
    return pending;
  }

  #open(key: string, grant: PreviewGrant): Promise<Viewer> {
    const { linkSocketPath, clock, scope } = this.#options;
    const { workspaceId, userId, authSessionId, exp } = grant;
    const grantedAtMs = (exp - PREVIEW_GRANT_SECONDS) * 1000;
    const forget = () => {
      if (this.#viewers.get(key) === viewer) this.#viewers.delete(key);
    };
    const viewer = connectHostd({
      socketPath: linkSocketPath,
      hello: { type: "preview", workspaceId, userId, authSessionId, grantedAtMs },
      signal: scope.signal,
      clock,
    }).then((socket) => {
      const connection = new PreviewConnection({ socket, clock, onOver: forget });
      return { connection, agents: new GuestAgents(connection) };
    });
    this.#viewers.set(key, viewer);
    viewer.catch(forget);
    return viewer;
  }

  async #closeAll(): Promise<void> {
    for (const viewer of await Promise.allSettled([...this.#viewers.values()])) {
      if (viewer.status === "fulfilled") viewer.value.connection.close();
    }
  }
}
