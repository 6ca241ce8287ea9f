import { isDeepStrictEqual } from "node:util";
import type { Db } from "@atoll/db/create-db";
import { withTenant } from "@atoll/db/with-tenant";
import { recordWorkspaceState, type StateReport } from "@atoll/db/workspaces";
import type { WorkspaceStatus } from "@atoll/protocol/workspace-status";
import { storeErasure } from "./store-erasure.ts";

/**
 * Keeps the database's copy of states (for lists while hostd is away) behind the live ones. One write at a
 * time; of a workspace that changes faster only its latest state is written, so the backlog has a bound. Most
 * statuses tell of progress, sessions and work: what is stored already costs the database nothing.
 */
export class StatusStore {
  readonly #db: Db;
  readonly #waiting = new Map<string, WorkspaceStatus>();
  /** The last report written, of each workspace that is not erased. */
  readonly #stored = new Map<string, StateReport>();
  #writing: Promise<void> | undefined;
  onDidFail: (workspaceId: string, error: unknown) => void = () => {};

  constructor(db: Db) {
    this.#db = db;
  }

  store(status: WorkspaceStatus): void {
    this.#waiting.set(status.workspaceId, status);
    this.#writing ??= this.#drain();
  }

  /** Resolves when everything given so far is written or has failed: until then the database is in use. */
  async settled(): Promise<void> {
    await this.#writing;
  }

  async #drain(): Promise<void> {
    // A map's iteration meets what is added behind it.
    for (const [workspaceId, status] of this.#waiting) {
      this.#waiting.delete(workspaceId);
      try {
        await this.#write(status);
      } catch (error) {
        this.onDidFail(workspaceId, error);
      }
    }
    // In the same turn as the map was found empty: what comes next must find nobody writing.
    this.#writing = undefined;
  }

  async #write(status: WorkspaceStatus): Promise<void> {
    const { workspaceId, ownerId, state, reason, sinceMs, generation } = status;
    if (state === "erased") {
      this.#stored.delete(workspaceId);
      return withTenant(this.#db, ownerId, (tenant) => storeErasure(tenant, status));
    }
    const report = { state, reason, since: new Date(sinceMs), generation };
    if (isDeepStrictEqual(report, this.#stored.get(workspaceId))) return;
    const isStored = await withTenant(this.#db, ownerId, (tenant) =>
      recordWorkspaceState(tenant, workspaceId, report),
    );
    if (isStored) this.#stored.set(workspaceId, report);
  }
}
