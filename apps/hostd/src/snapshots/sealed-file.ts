/** A byte stream sealed into one file under a key of its own, which is wrapped under the workspace's. */

import { createHash } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import { dirname } from "node:path";
import { createFile } from "@atoll/durable/create-file";
import { fileOps } from "@atoll/durable/file-ops";
import { syncDirectory } from "@atoll/durable/sync-directory";
import { deriveKey } from "@atoll/keys/derive-key";
import { newKey } from "@atoll/keys/new-key";
import { unwrapKey, wrapKey, wrappedKey } from "@atoll/keys/wrap-key";
import { AtollError } from "@atoll/protocol/atoll-error";
import { z } from "zod";
import { diskError } from "../disks/disk-error.ts";
import { type ReadOptions, type SealContext, seal, unseal } from "./seal.ts";

const READ_BYTES = 1024 * 1024;

/** What its manifest has to say of a sealed file. */
export const sealedFacts = {
  sealedBytes: z.number().int().nonnegative(),
  sealedSha256: z.string().length(64),
  plainBytes: z.number().int().nonnegative(),
  key: wrappedKey,
};
export interface SealedFacts {
  sealedBytes: number;
  sealedSha256: string;
  plainBytes: number;
  key: string;
}

/**
 * Durable, with its name, when it returns; nothing of it stays when it fails.
 * @throws AtollError host.disk_full, host.disk_failed, or what `plain` threw
 */
export async function writeSealedFile(
  path: string,
  workspaceKey: Uint8Array,
  context: SealContext,
  plain: AsyncIterable<Uint8Array>,
): Promise<SealedFacts> {
  const key = newKey();
  const hash = createHash("sha256");
  let plainBytes = 0;
  let sealedBytes = 0;
  const counted = async function* () {
    for await (const piece of plain) {
      plainBytes += piece.length;
      yield piece;
    }
  };
  try {
    {
      await using file = await createFile(path);
      for await (const piece of seal(counted(), key, context)) {
        await file.write(piece);
        hash.update(piece);
        sealedBytes += piece.length;
      }
      await file.sync();
    }
    await syncDirectory(dirname(path));
    return {
      ...{ sealedBytes, plainBytes, sealedSha256: hash.digest("hex") },
      key: wrapUnder(workspaceKey, key, context),
    };
  } catch (error) {
    await fileOps().remove(path);
    throw diskError(error);
  } finally {
    key.fill(0);
  }
}

/** Open until it is disposed of, so that what it holds can be read even after its name is gone. */
export class SealedFile implements AsyncDisposable {
  readonly #file: FileHandle;
  readonly #key: Uint8Array;
  readonly #context: SealContext;

  private constructor(file: FileHandle, key: Uint8Array, context: SealContext) {
    this.#file = file;
    this.#key = key;
    this.#context = context;
  }

  /** @throws AtollError snapshot.invalid when it is absent, of another length, or another workspace's */
  static async open(
    path: string,
    workspaceKey: Uint8Array,
    context: SealContext,
    facts: Pick<SealedFacts, "key" | "sealedBytes">,
  ): Promise<SealedFile> {
    const key = unwrapUnder(workspaceKey, facts.key, context);
    try {
      const file = await open(path, "r").catch((cause: unknown) => {
        throw new AtollError("snapshot.invalid", "the sealed file is gone", { cause });
      });
      const { size } = await file.stat();
      if (size === facts.sealedBytes) return new SealedFile(file, key, context);
      await file.close();
      throw new AtollError("snapshot.invalid", `${size} bytes are there`);
    } catch (error) {
      key.fill(0);
      throw error;
    }
  }

  /**
   * What was sealed, from its beginning; any number of readers at once. A fault may come after the first bytes.
   * @throws AtollError snapshot.invalid
   */
  read(options?: ReadOptions): AsyncGenerator<Uint8Array> {
    return unseal(this.#pieces(), this.#key, this.#context, options);
  }

  /** The `key` of its facts for another workspace that has the file as well. */
  keyUnder(workspaceKey: Uint8Array): string {
    return wrapUnder(workspaceKey, this.#key, this.#context);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#key.fill(0);
    await this.#file.close();
  }

  async *#pieces(): AsyncGenerator<Buffer> {
    for (let at = 0; ; ) {
      const { buffer, bytesRead } = await this.#file.read(Buffer.allocUnsafe(READ_BYTES), 0, READ_BYTES, at);
      if (bytesRead === 0) return;
      at += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  }
}

const contextOf = ({ workspaceId, snapshotId, epoch }: SealContext): string =>
  `atoll snapshot key 1 ${workspaceId} ${snapshotId} ${epoch}`;

function wrapUnder(workspaceKey: Uint8Array, key: Uint8Array, context: SealContext): string {
  const wrapping = deriveKey(workspaceKey, "snapshot-wrap");
  try {
    return wrapKey(wrapping, key, contextOf(context));
  } finally {
    wrapping.fill(0);
  }
}

function unwrapUnder(workspaceKey: Uint8Array, wrapped: string, context: SealContext): Uint8Array {
  const wrapping = deriveKey(workspaceKey, "snapshot-wrap");
  try {
    return unwrapKey(wrapping, wrapped, contextOf(context));
  } catch (cause) {
    throw new AtollError("snapshot.invalid", "the snapshot's key does not open", { cause });
  } finally {
    wrapping.fill(0);
  }
}
