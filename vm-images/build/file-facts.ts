import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { basename } from "node:path";
import { pipeline } from "node:stream/promises";

export async function fileFacts(path: string): Promise<{ file: string; sizeBytes: number; sha256: string }> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return { file: basename(path), sizeBytes: (await stat(path)).size, sha256: hash.digest("hex") };
}
