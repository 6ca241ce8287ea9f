/**
 * Keys in files of one directory: `root` (32 bytes), `owners/<id>.json`, `workspaces/<id>.json`. A destruction is written
 * down first (`<id>.destroyed.json`), which already refuses the key, then the key's file is overwritten and unlinked; one
 * that was interrupted is finished when it is repeated or when the store is opened.
 */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, systemClock } from "@atoll/base/clock";
import { Turns } from "@atoll/base/turns";
import { makeDirectory } from "@atoll/durable/make-directory";
import { replaceFile } from "@atoll/durable/replace-file";
import { wipeFile } from "@atoll/durable/wipe-file";
import { AtollError } from "@atoll/protocol/atoll-error";
import { uuid } from "@atoll/protocol/ids";
import { z } from "zod";
import { keyCommitment } from "./key-commitment.ts";
import {
  notePathOf,
  readKeyBytes,
  readKeyFile,
  unfinishedDestructions,
  unwrittenFiles,
} from "./key-files.ts";
import {
  type DestroyedKey,
  KEY_BYTES,
  type KeyStore,
  type PutKeyOptions,
  type WorkspaceKeyIds,
} from "./key-store.ts";
import { newKey } from "./new-key.ts";

import { unwrapKey, wrapKey, wrappedKey } from "./wrap-key.ts";

const keyRecord = z.strictObject({ wrapped: wrappedKey, commitment: z.string().length(64) });
const destruction = z.strictObject({
  destroyedAtMs: z.number(),
  commitment: z.string().length(64).nullable(),
});
type KeyRecord = z.infer<typeof keyRecord>;

export class LocalKeyStore implements KeyStore {
  readonly #directory: string;
  readonly #clock: Clock;
  readonly #root: Uint8Array;
  readonly #turns = new Turns();

  private constructor(directory: string, root: Uint8Array, clock: Clock) {
    this.#directory = directory;
    this.#root = root;
    this.#clock = clock;
  }

  /**
   * Makes the directory and the root key when they are not there yet. One process at a time.
   * @throws AtollError key.unavailable when the root key is damaged, or gone while there are keys under it: with a new one
   *   they would look as if they had been destroyed
   */
  static async open(options: { directory: string; clock?: Clock }): Promise<LocalKeyStore> {
    const { directory } = options;
    for (const path of [directory, join(directory, "owners"), join(directory, "workspaces")]) {
      await makeDirectory(path);
    }
    const path = join(directory, "root");
    let root = await readKeyBytes(path);
    if (root === undefined) {
      for (const kind of ["owners", "workspaces"]) {
        const names = await readdir(join(directory, kind));
        if (names.length > 0) throw new AtollError("key.unavailable", `${path} is missing, its keys are not`);
      }
      root = Buffer.from(newKey().buffer);
      await replaceFile(path, root);
    }
    if (root.length !== KEY_BYTES) throw new AtollError("key.unavailable", "the root key file is damaged");
    const store = new LocalKeyStore(directory, root, options.clock ?? systemClock);
    await store.#finishDestructions();
    return store;
  }

  putWorkspaceKey(
    ids: WorkspaceKeyIds,
    key: Uint8Array,
    { mayReplace = false }: PutKeyOptions = {},
  ): Promise<{ commitment: string }> {
    const commitment = keyCommitment(key);
    const path = this.#workspacePath(ids.workspaceId);
    return this.#turns.run(path, async () => {
      // Refuses a destroyed workspace.
      const known = await readRecord(path);
      if (known !== undefined && !mayReplace) throw new AtollError("key.exists");
      const ownerKey = await this.#ownerKey(ids.ownerId);
      try {
        const wrapped = wrapKey(ownerKey, key, workspaceContext(ids));
        await replaceFile(path, JSON.stringify({ wrapped, commitment } satisfies KeyRecord));
      } finally {
        ownerKey.fill(0);
      }
      return { commitment };
    });
  }

  async unwrapWorkspaceKey(ids: WorkspaceKeyIds): Promise<Uint8Array> {
    const ownerPath = this.#ownerPath(ids.ownerId);
    const [record, owner] = await Promise.all([
      readRecord(this.#workspacePath(ids.workspaceId)),
      readRecord(ownerPath),
    ]);
    if (record === undefined || owner === undefined) throw new AtollError("key.not_found");
    const ownerKey = unwrapKey(this.#root, owner.wrapped, ownerContext(ids.ownerId));
    try {
      return unwrapKey(ownerKey, record.wrapped, workspaceContext(ids));
    } finally {
      ownerKey.fill(0);
    }
  }

  async hasWorkspaceKey(workspaceId: string): Promise<boolean> {
    const path = this.#workspacePath(workspaceId);
    const [file, note] = await Promise.all([readKeyBytes(path), readKeyBytes(notePathOf(path))]);
    return file !== undefined && note === undefined;
  }

  destroyWorkspaceKey({ workspaceId }: Pick<WorkspaceKeyIds, "workspaceId">): Promise<DestroyedKey> {
    return this.#destroy(this.#workspacePath(workspaceId));
  }

  destroyOwnerKey(ownerId: string): Promise<DestroyedKey> {
    return this.#destroy(this.#ownerPath(ownerId));
  }

  /** The owner's key, made when there is none yet. The caller wipes it. */
  #ownerKey(ownerId: string): Promise<Uint8Array> {
    const path = this.#ownerPath(ownerId);
    return this.#turns.run(path, async () => {
      const record = await readRecord(path);
      if (record !== undefined) return unwrapKey(this.#root, record.wrapped, ownerContext(ownerId));
      const key = newKey();
      const wrapped = wrapKey(this.#root, key, ownerContext(ownerId));
      await replaceFile(
        path,
        JSON.stringify({ wrapped, commitment: keyCommitment(key) } satisfies KeyRecord),
      );
      return key;
    });
  }

  #destroy(path: string): Promise<DestroyedKey> {
    return this.#turns.run(path, async () => {
      const notePath = notePathOf(path);
      const known = await readKeyFile(notePath, destruction);
      const destroyed = known ?? (await this.#newDestruction(path));
      if (known === undefined) await replaceFile(notePath, JSON.stringify(destroyed));
      await wipeFile(path);
      return destroyed;
    });
  }

  async #newDestruction(path: string): Promise<DestroyedKey> {
    // A damaged record must not keep its key from being destroyed; only its commitment is lost.
    const record = await readRecord(path).catch(() => undefined);
    return { destroyedAtMs: this.#clock.now(), commitment: record?.commitment ?? null };
  }

  async #finishDestructions(): Promise<void> {
    for (const kind of ["owners", "workspaces"]) {
      const directory = join(this.#directory, kind);
      const names = await readdir(directory);
      for (const name of [...unwrittenFiles(names), ...unfinishedDestructions(names)]) {
        await wipeFile(join(directory, name));
      }
    }
  }

  #workspacePath(workspaceId: string): string {
    return join(this.#directory, "workspaces", `${uuid.parse(workspaceId)}.json`);
  }

  #ownerPath(ownerId: string): string {
    return join(this.#directory, "owners", `${uuid.parse(ownerId)}.json`);
  }
}

const ownerContext = (ownerId: string) => `atoll owner key 1 ${ownerId}`;
const workspaceContext = ({ ownerId, workspaceId }: WorkspaceKeyIds) =>
  `atoll workspace key 1 ${ownerId} ${workspaceId}`;

/** Undefined when there is none. @throws AtollError key.not_found when it was destroyed, key.unavailable when damaged */
async function readRecord(path: string): Promise<KeyRecord | undefined> {
  if ((await readKeyBytes(notePathOf(path))) !== undefined) {
    throw new AtollError("key.not_found", "this key was destroyed");
  }
  return readKeyFile(path, keyRecord);
}
