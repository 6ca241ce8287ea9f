import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { createFile } from "@atoll/durable/create-file";
import { fileOps } from "@atoll/durable/file-ops";
import { linkFile } from "@atoll/durable/link-file";
import { makeDirectory } from "@atoll/durable/make-directory";

const KEY_BYTES = 32;

/**
 * The secret that signs preview cookies; made once and kept, so cookies outlive a restart. 0600 in a 0700
 * directory. Two processes that start together agree: the file appears whole or not at all.
 */
export async function cookieKey(path: string): Promise<Buffer> {
  return (await readKey(path)) ?? (await makeKey(path));
}

async function readKey(path: string): Promise<Buffer | undefined> {
  try {
    const key = await readFile(path);
    if (key.length !== KEY_BYTES) throw new Error(`${path}: ${key.length} bytes instead of ${KEY_BYTES}`);
    return key;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

async function makeKey(path: string): Promise<Buffer> {
  await makeDirectory(dirname(path));
  const temporary = `${path}.${randomBytes(8).toString("hex")}.tmp`;
  try {
    {
      await using file = await createFile(temporary);
      await file.write(randomBytes(KEY_BYTES));
      await file.sync();
    }
    // Unlike rename, link never replaces the key another process made meanwhile.
    await linkFile(temporary, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  } finally {
    await fileOps().remove(temporary);
  }
  const key = await readKey(path);
  if (key === undefined) throw new Error(`${path}: vanished`);
  return key;
}
