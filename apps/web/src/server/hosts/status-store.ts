import type { Db } from "@atoll/db/create-db";
import { withTenant } from "@atoll/db/with-tenant";
import { recordWorkspaceState } from "@atoll/db/workspaces";
import type { WorkspaceStatus } from "@atoll/protocol/workspace-status";
import { storeErasure } from "./store-erasure.ts";

/**
 * Keeps the database's copy of states (for lists while hostd is away) behind the live ones. One write at a
 * time; of a workspace that changes faster only its latest state is written, so the backlog has a bound.
 */
export class StatusStore {
  readonly #db: Db;
  readonly #waiting = new Map<string, WorkspaceStatus>();
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

  #write(status: WorkspaceStatus): Promise<void> {
    return withTenant(this.#db, status.ownerId, async (tenant) => {
      if (status.state === "erased") return storeErasure(tenant, status);
      await recordWorkspaceState(tenant, status.workspaceId, {
        state: status.state,
        reason: status.reason,
        since: new Date(status.sinceMs),
        generation: status.generation,
      });
    });
  }
}
