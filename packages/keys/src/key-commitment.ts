import { createHash } from "node:crypto";

export const KEY_COMMITMENT_LABEL = "atoll-key-commitment\0";

/** Names a key without telling anything about it, hex. A receipt shows it as the key that is gone. */
export function keyCommitment(key: Uint8Array): string {
  return createHash("sha256").update(KEY_COMMITMENT_LABEL).update(key).digest("hex");
}
