import { AtollError } from "@atoll/protocol/atoll-error";
import type { Isolation, WorkspaceStatus } from "@atoll/protocol/workspace-status";
import type { UnreadableRecord } from "./journal/unreadable-record.ts";

/**
 * Records of the journal that cannot be read. Their ids are taken: whoever treated one as never seen would make a new
 * key over somebody's disk, or attest an erasure that did not happen.
 */
export class DamagedRecords {
  readonly #records: UnreadableRecord[] = [];

  add(records: readonly UnreadableRecord[]): void {
    this.#records.push(...records);
  }

  /** @throws AtollError workspace.record_damaged */
  refuse(...ids: readonly string[]): void {
    if (this.#records.some(({ id }) => ids.includes(id))) throw new AtollError("workspace.record_damaged");
  }

  /** As far as its record still tells. */
  ownerOf(workspaceId: string): string | undefined {
    return this.#records.find(({ id }) => id === workspaceId)?.ownerId;
  }

  /** @throws AtollError workspace.record_damaged while something of this owner may be left */
  refuseOwner(ownerId: string): void {
    if (this.#ofDisks.some((record) => record.ownerId === ownerId)) {
      throw new AtollError("workspace.record_damaged");
    }
  }

  /** Of workspaces whose owner is still told, for lists. Nothing else about them is known. */
  statuses(sinceMs: number, isolation: Isolation): WorkspaceStatus[] {
    return this.#records.flatMap(({ kind, id, ownerId }) =>
      kind !== "workspace" || ownerId === undefined
        ? []
        : [
            {
              ...{ workspaceId: id, ownerId, sinceMs, isolation },
              ...{ state: "failed", reason: "host_restarted", errorCode: "workspace.record_damaged" },
              ...{ generation: 0, sessionCount: 0, egress: "off" },
            },
          ],
    );
  }

  /** A tombstone that was written anew is whole again. */
  mended(tombstoneId: string): void {
    const at = this.#records.findIndex(({ kind, id }) => kind === "tombstone" && id === tombstoneId);
    if (at >= 0) this.#records.splice(at, 1);
  }

  get all(): readonly UnreadableRecord[] {
    return this.#records;
  }

  /** What a sweep leaves alone; `isComplete` is false when one of them does not tell which disk is its. */
  get disks(): { diskIds: Set<string>; isComplete: boolean } {
    const diskIds = this.#ofDisks.map(({ diskId }) => diskId);
    return {
      diskIds: new Set(diskIds.filter((diskId) => typeof diskId === "string")),
      isComplete: !diskIds.includes(undefined),
    };
  }

  get #ofDisks(): UnreadableRecord[] {
    return this.#records.filter(({ kind }) => kind !== "tombstone");
  }
}
