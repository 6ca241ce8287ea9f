import type { Clock } from "@atoll/base/clock";
import { listEndedAuthSessions } from "@atoll/db/auth-sessions";
import type { Db } from "@atoll/db/create-db";
import { PREVIEW_GRANT_SECONDS } from "@atoll/protocol/tickets";
import type { HostdClient } from "./hostd-client.ts";

/** A grant may be made of a ticket that was signed just before. */
const TICKET_SLACK_SECONDS = 120;

export interface EndedSignInsOptions {
  db: Db;
  hostd: Pick<HostdClient, "revokeSessions">;
  clock: Clock;
}

/**
 * Tells hostd which sign-ins ended. It ends what they have open, and refuses their previews' grants, which know nothing
 * of a sign-out. What it was not there to hear is in the database and is told later.
 */
export class EndedSignIns {
  readonly #options: EndedSignInsOptions;
  /** Also at the start: an earlier process may have ended before it could tell. */
  #isBehind = true;

  constructor(options: EndedSignInsOptions) {
    this.#options = options;
  }

  /** The sign-in is revoked in the database already. @throws AtollError when hostd does not know yet */
  async ended(userId: string, authSessionId: string): Promise<void> {
    try {
      await this.#options.hostd.revokeSessions({ userId, authSessionId });
    } catch (error) {
      this.#isBehind = true;
      throw error;
    }
  }

  /** Tells again all that may still matter, if hostd may have missed any. Repeatable. */
  async catchUp(): Promise<void> {
    if (!this.#isBehind) return;
    const { db, hostd, clock } = this.#options;
    this.#isBehind = false;
    try {
      const since = new Date(clock.now() - (PREVIEW_GRANT_SECONDS + TICKET_SLACK_SECONDS) * 1000);
      for (const { id, userId } of await listEndedAuthSessions(db, since)) {
        await hostd.revokeSessions({ userId, authSessionId: id });
      }
    } catch (error) {
      this.#isBehind = true;
      throw error;
    }
  }
}
