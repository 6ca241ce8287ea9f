/**
 * Keys of owners and workspaces, outside the database and its backups. An owner's key wraps the keys of their
 * workspaces; destroying either makes everything below it unreadable. Every operation is durable when it returns and safe
 * to repeat.
 */
export interface KeyStore {
  /**
   * Keeps a workspace's key, wrapped under its owner's (made now if the owner has none). `key` stays the caller's to wipe.
   * @throws AtollError key.not_found when the owner or the workspace was destroyed before, key.exists
   */
  putWorkspaceKey(
    ids: WorkspaceKeyIds,
    key: Uint8Array,
    options?: PutKeyOptions,
  ): Promise<{ commitment: string }>;
  /** Also of one that cannot be read; not of a destroyed one. */
  hasWorkspaceKey(workspaceId: string): Promise<boolean>;
  /** A copy the caller wipes. @throws AtollError key.not_found, key.unavailable */
  unwrapWorkspaceKey(ids: WorkspaceKeyIds): Promise<Uint8Array>;
  /** Also for a workspace that never had a key: it cannot get one afterwards. */
  destroyWorkspaceKey(ids: Pick<WorkspaceKeyIds, "workspaceId">): Promise<DestroyedKey>;
  /** Destroys what wraps all keys of an owner. The workspaces' wrapped keys need not be there any more. */
  destroyOwnerKey(ownerId: string): Promise<DestroyedKey>;
}

export interface WorkspaceKeyIds {
  ownerId: string;
  workspaceId: string;
}

export interface PutKeyOptions {
  /** Of a create that is repeated: the one before may have left a key, with nothing under it. Destroys that one. */
  mayReplace?: boolean;
}

/** Repeating a destruction answers the first one. */
export interface DestroyedKey {
  /** Null when there never was a key. */
  commitment: string | null;
  destroyedAtMs: number;
}

export const KEY_BYTES = 32;
