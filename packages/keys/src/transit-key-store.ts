/**
 * Keys behind a Transit engine (OpenBao, HashiCorp Vault). Each owner and each workspace has a key there that never leaves
 * it; a workspace's own key lies here in a file, sealed under both, so that destroying either ends it. Files:
 * `owners/<id>.json` (a commitment), `workspaces/<id>.json` (ciphertext).
 *
 * A destruction is noted here before it begins, which already refuses the key, and noted as done only when the server has
 * said that its key is gone. While the server is away it stays begun: repeating it goes on.
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
import { KEY_COMMITMENT_LABEL, keyCommitment } from "./key-commitment.ts";
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
import { TransitClient, type TransitClientOptions } from "./transit-client.ts";

const commitment = z.string().length(64);
const ownerRecord = z.strictObject({ commitment });
const workspaceRecord = z.strictObject({
  ownerId: uuid,
  ciphertext: z.string().startsWith("vault:v"),
  commitment,
});
/** Null while the server's key may still be there. */
const destructionNote = z.strictObject({
  destroyedAtMs: z.number().nullable(),
  commitment: commitment.nullable(),
});

export interface TransitKeyStoreOptions extends TransitClientOptions {
  directory: string;
  clock?: Clock;
}

export class TransitKeyStore implements KeyStore, Disposable {
  readonly #directory: string;
  readonly #clock: Clock;
  readonly #transit: TransitClient;
  readonly #turns = new Turns();

  private constructor(options: TransitKeyStoreOptions) {
    this.#directory = options.directory;
    this.#clock = options.clock ?? systemClock;
    this.#transit = new TransitClient(options);
  }

  /** The server need not answer yet. One process at a time. */
  static async open(options: TransitKeyStoreOptions): Promise<TransitKeyStore> {
    const store = new TransitKeyStore(options);
    for (const kind of ["owners", "workspaces"]) {
      const directory = join(options.directory, kind);
      await makeDirectory(directory);
      const names = await readdir(directory);
      for (const name of unwrittenFiles(names)) await wipeFile(join(directory, name));
      // Of destructions that were done the file may be left; of those that only began it goes when they are repeated.
      for (const name of unfinishedDestructions(names)) {
        const path = join(directory, name);
        const note = await readKeyFile(notePathOf(path), destructionNote);
        if (note !== undefined && note.destroyedAtMs !== null) await wipeFile(path);
      }
    }
    return store;
  }

  putWorkspaceKey(
    ids: WorkspaceKeyIds,
    key: Uint8Array,
    { mayReplace = false }: PutKeyOptions = {},
  ): Promise<{ commitment: string }> {
    const path = this.#workspacePath(ids.workspaceId);
    const ownerPath = this.#ownerPath(ids.ownerId);
    const put = async () => {
      await refuseDestroyed(path);
      if (!mayReplace && (await readKeyBytes(path)) !== undefined) throw new AtollError("key.exists");
      await this.#provideOwner(ownerPath, ownerName(ids.ownerId));
      const name = workspaceName(ids.workspaceId);
      await this.#transit.createKey(name);
      const inner = await this.#transit.encrypt(name, key, associatedData(ids));
      const ciphertext = await this.#transit.encrypt(
        ownerName(ids.ownerId),
        Buffer.from(inner),
        associatedData(ids),
      );
      const record = { ownerId: ids.ownerId, ciphertext, commitment: keyCommitment(key) };
      await replaceFile(path, JSON.stringify(workspaceRecord.parse(record)));
      return { commitment: record.commitment };
    };
    // Also in the owner's turn: a server may make a missing key when asked to encrypt, after the owner's was destroyed.
    return this.#turns.run(path, () => this.#turns.run(ownerPath, put));
  }

  async unwrapWorkspaceKey(ids: WorkspaceKeyIds): Promise<Uint8Array> {
    const [path, ownerPath] = [this.#workspacePath(ids.workspaceId), this.#ownerPath(ids.ownerId)];
    await Promise.all([refuseDestroyed(path), refuseDestroyed(ownerPath)]);
    const record = await readKeyFile(path, workspaceRecord);
    if (record === undefined || record.ownerId !== ids.ownerId) throw new AtollError("key.not_found");
    const inner = await this.#transit.decrypt(ownerName(ids.ownerId), record.ciphertext, associatedData(ids));
    const key = await this.#transit.decrypt(
      workspaceName(ids.workspaceId),
      Buffer.from(inner).toString("latin1"),
      associatedData(ids),
    );
    if (key.length === KEY_BYTES && keyCommitment(key) === record.commitment) return key;
    key.fill(0);
    throw new AtollError("key.unavailable", "the key service opened something else");
  }

  async hasWorkspaceKey(workspaceId: string): Promise<boolean> {
    const path = this.#workspacePath(workspaceId);
    const [file, note] = await Promise.all([readKeyBytes(path), readKeyBytes(notePathOf(path))]);
    return file !== undefined && note === undefined;
  }

  destroyWorkspaceKey({ workspaceId }: Pick<WorkspaceKeyIds, "workspaceId">): Promise<DestroyedKey> {
    return this.#destroy(this.#workspacePath(workspaceId), workspaceName(workspaceId));
  }

  destroyOwnerKey(ownerId: string): Promise<DestroyedKey> {
    return this.#destroy(this.#ownerPath(ownerId), ownerName(ownerId));
  }

  [Symbol.dispose](): void {
    this.#transit[Symbol.dispose]();
  }

  /** Makes the owner's key once. Afterwards it must be there. */
  async #provideOwner(path: string, name: string): Promise<void> {
    await refuseDestroyed(path);
    if ((await readKeyFile(path, ownerRecord)) !== undefined) {
      if (!(await this.#transit.hasKey(name))) throw new AtollError("key.not_found");
      return;
    }
    await this.#transit.createKey(name);
    const made = { commitment: await this.#transit.hmac(name, KEY_COMMITMENT_LABEL) };
    await replaceFile(path, JSON.stringify(ownerRecord.parse(made)));
  }

  #destroy(path: string, name: string): Promise<DestroyedKey> {
    return this.#turns.run(path, async () => {
      const notePath = notePathOf(path);
      let note = await readKeyFile(notePath, destructionNote);
      if (note === undefined) {
        note = { destroyedAtMs: null, commitment: await commitmentOf(path) };
        await replaceFile(notePath, JSON.stringify(note));
      }
      const destroyedAtMs = note.destroyedAtMs ?? (await this.#destroyAtServer(name));
      const destroyed = { destroyedAtMs, commitment: note.commitment };
      if (note.destroyedAtMs === null) await replaceFile(notePath, JSON.stringify(destroyed));
      await wipeFile(path);
      return destroyed;
    });
  }

  async #destroyAtServer(name: string): Promise<number> {
    await this.#transit.destroyKey(name);
    return this.#clock.now();
  }

  #workspacePath(workspaceId: string): string {
    return join(this.#directory, "workspaces", `${uuid.parse(workspaceId)}.json`);
  }

  #ownerPath(ownerId: string): string {
    return join(this.#directory, "owners", `${uuid.parse(ownerId)}.json`);
  }
}

const ownerName = (ownerId: string) => `atoll-owner-${uuid.parse(ownerId)}`;
const workspaceName = (workspaceId: string) => `atoll-workspace-${uuid.parse(workspaceId)}`;
const associatedData = ({ ownerId, workspaceId }: WorkspaceKeyIds) =>
  `atoll workspace key 1 ${ownerId} ${workspaceId}`;

async function refuseDestroyed(path: string): Promise<void> {
  if ((await readKeyFile(notePathOf(path), destructionNote)) !== undefined) {
    throw new AtollError("key.not_found", "this key was destroyed");
  }
}

/** A damaged record must not keep its key from being destroyed; only its commitment is lost. */
async function commitmentOf(path: string): Promise<string | null> {
  const record = await readKeyFile(path, z.object({ commitment })).catch(() => undefined);
  return record?.commitment ?? null;
}
