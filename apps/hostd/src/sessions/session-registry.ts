/**
 * Who is connected to which workspace. Counts tabs against the plan, replaces a tab's own older connection, lets a tab
 * take the oldest one's place, and ends connections whose right to be here ended.
 */
import type { Clock } from "@atoll/base/clock";
import { AtollError } from "@atoll/protocol/atoll-error";
import { SESSION_TICKET, type SessionTicketClaims } from "@atoll/protocol/tickets";
import type { Revocations } from "./revocations.ts";

/** A live connection; `end` tells the peer why and closes it. */
export interface EndableConnection {
  end(error: AtollError): void;
  notify(code: string): void;
}

interface Member {
  connection: EndableConnection;
  workspaceId: string;
  userId: string;
  authSessionId: string;
  /** Absent for a preview or a view, which count to no limit. */
  session?: { tabId: string; openedAt: number };
}

export interface SessionRegistryOptions {
  clock: Clock;
  revocations: Pick<Revocations, "revokedAtMs" | "add">;
  onCountChange: (workspaceId: string, sessionCount: number) => void;
}

/** More tabs than any plan lets in at once. */
const TABS_KNOWN = 32;

export class SessionRegistry {
  readonly #options: SessionRegistryOptions;
  readonly #byWorkspace = new Map<string, Set<Member>>();
  /** Tabs of each workspace, newest first. */
  readonly #tabs = new Map<string, string[]>();

  constructor(options: SessionRegistryOptions) {
    this.#options = options;
  }

  sessionCount(workspaceId: string): number {
    return this.#sessions(workspaceId).length;
  }

  /**
   * `release` removes it again; call it when the connection is closed.
   * @throws AtollError plan.session_limit, session.revoked
   */
  admitSession(
    claims: SessionTicketClaims,
    options: { connection: EndableConnection; tabId: string; takeOver: boolean },
  ): { release: () => void; isNewTab: boolean } {
    this.#refuseRevoked(claims.sub, claims.authSessionId, signedAtMs(claims));
    const { workspaceId, maxSessions, planLabel } = claims;
    const sessions = this.#sessions(workspaceId);
    const previous = sessions.find(({ session }) => session.tabId === options.tabId);
    const others = sessions.filter((member) => member !== previous);
    if (others.length >= maxSessions) {
      if (!options.takeOver) {
        throw new AtollError("plan.session_limit", undefined, { details: { limit: maxSessions, planLabel } });
      }
      const oldestFirst = others.sort((a, b) => a.session.openedAt - b.session.openedAt);
      for (const member of oldestFirst.slice(0, others.length - maxSessions + 1)) {
        this.#end(member, new AtollError("session.taken_over"));
      }
    }
    if (previous !== undefined) this.#end(previous, new AtollError("link.lost", "the tab connected again"));
    const isNewTab = !this.#knowsTab(workspaceId, options.tabId);
    const release = this.#add({
      connection: options.connection,
      workspaceId,
      userId: claims.sub,
      authSessionId: claims.authSessionId,
      session: {
        tabId: options.tabId,
        // A reconnecting tab keeps its age, or a flaky network would make it the youngest.
        openedAt: previous?.session.openedAt ?? this.#options.clock.monotonic(),
      },
    });
    return { release, isNewTab };
  }

  /** @throws AtollError session.revoked */
  admitView(member: Omit<Member, "session">, claims: SessionTicketClaims): () => void {
    this.#refuseRevoked(claims.sub, claims.authSessionId, signedAtMs(claims));
    return this.#add({ ...member });
  }

  /** @throws AtollError session.revoked */
  admitPreview(member: Omit<Member, "session">, grantedAtMs: number): () => void {
    this.#refuseRevoked(member.userId, member.authSessionId, grantedAtMs);
    return this.#add({ ...member });
  }

  notify(workspaceId: string, code: string): void {
    for (const { connection, session } of this.#byWorkspace.get(workspaceId) ?? []) {
      if (session !== undefined) connection.notify(code);
    }
  }

  endWorkspace(workspaceId: string, error: AtollError): void {
    this.#tabs.delete(workspaceId);
    for (const member of [...(this.#byWorkspace.get(workspaceId) ?? [])]) this.#end(member, error);
  }

  endAll(error: AtollError): void {
    for (const workspaceId of [...this.#byWorkspace.keys()]) this.endWorkspace(workspaceId, error);
  }

  /**
   * Ends what lives, sessions and previews, and refuses tickets and grants signed until now. They end at once; it
   * resolves when that is durable, too.
   */
  async revoke(userId: string, authSessionId: string | undefined): Promise<number> {
    const remembered = this.#options.revocations.add(authSessionId ?? userId);
    const endedCount = this.#endAllOf(userId, authSessionId);
    await remembered;
    return endedCount;
  }

  #endAllOf(userId: string, authSessionId: string | undefined): number {
    let endedCount = 0;
    for (const members of [...this.#byWorkspace.values()]) {
      for (const member of [...members]) {
        if (member.userId !== userId) continue;
        if (authSessionId !== undefined && member.authSessionId !== authSessionId) continue;
        this.#end(member, new AtollError("session.revoked"));
        endedCount += 1;
      }
    }
    return endedCount;
  }

  #refuseRevoked(userId: string, authSessionId: string, atMs: number): void {
    const { revocations } = this.#options;
    // A sign-in session never comes back; of a user's tickets only those signed before count.
    if (revocations.revokedAtMs(authSessionId) !== undefined) throw new AtollError("session.revoked");
    const userRevokedAtMs = revocations.revokedAtMs(userId);
    if (userRevokedAtMs !== undefined && atMs <= userRevokedAtMs) throw new AtollError("session.revoked");
  }

  #sessions(workspaceId: string): Array<Member & { session: NonNullable<Member["session"]> }> {
    return [...(this.#byWorkspace.get(workspaceId) ?? [])].filter(
      (member): member is Member & { session: NonNullable<Member["session"]> } =>
        member.session !== undefined,
    );
  }

  /** Whether this tab was here before, in the memory of the last few; from now on it was. */
  #knowsTab(workspaceId: string, tabId: string): boolean {
    const tabs = this.#tabs.get(workspaceId) ?? [];
    this.#tabs.set(workspaceId, [tabId, ...tabs.filter((known) => known !== tabId)].slice(0, TABS_KNOWN));
    return tabs.includes(tabId);
  }

  #add(member: Member): () => void {
    const members = this.#byWorkspace.get(member.workspaceId) ?? new Set();
    this.#byWorkspace.set(member.workspaceId, members);
    members.add(member);
    this.#countChanged(member);
    return () => this.#remove(member);
  }

  #end(member: Member, error: AtollError): void {
    // Removed first: the place is free even if the peer takes its time to leave.
    this.#remove(member);
    member.connection.end(error);
  }

  #remove(member: Member): void {
    const members = this.#byWorkspace.get(member.workspaceId);
    if (members === undefined || !members.delete(member)) return;
    if (members.size === 0) this.#byWorkspace.delete(member.workspaceId);
    this.#countChanged(member);
  }

  #countChanged({ workspaceId, session }: Member): void {
    if (session !== undefined) this.#options.onCountChange(workspaceId, this.sessionCount(workspaceId));
  }
}

function signedAtMs({ exp }: SessionTicketClaims): number {
  return (exp - SESSION_TICKET.lifetimeSeconds) * 1000;
}
