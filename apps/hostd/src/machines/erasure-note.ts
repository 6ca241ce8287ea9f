import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { makeDirectory } from "@atoll/durable/make-directory";
import { replaceFile } from "@atoll/durable/replace-file";
import { uuid } from "@atoll/protocol/ids";
import { z } from "zod";

const erasureNote = z.strictObject({ keyDestroyedAtMs: z.number(), dataUnlinkedAtMs: z.number() });
export type ErasureNote = z.infer<typeof erasureNote>;

/** Keeps the first note of a workspace and answers it from then on: repeating an erasure does not move its times. */
export async function noteErasure(
  directory: string,
  workspaceId: string,
  note: ErasureNote,
): Promise<ErasureNote> {
  await makeDirectory(directory);
  const path = join(directory, `${uuid.parse(workspaceId)}.json`);
  const known = await readFile(path, "utf8").catch(() => undefined);
  if (known !== undefined) return erasureNote.parse(JSON.parse(known));
  await replaceFile(path, JSON.stringify(note));
  return note;
}
