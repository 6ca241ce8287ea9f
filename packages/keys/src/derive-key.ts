import { hkdfSync } from "node:crypto";
import { KEY_BYTES } from "./key-store.ts";

/** What a workspace's key is used for; each use gets a key of its own. */
export type KeyPurpose = "disk" | "layer-wrap" | "checkpoint-seal" | "snapshot-seal" | "snapshot-wrap";

/** The caller wipes the result. */
export function deriveKey(key: Uint8Array, purpose: KeyPurpose): Uint8Array {
  return new Uint8Array(hkdfSync("sha256", key, Buffer.alloc(0), `atoll ${purpose} 1`, KEY_BYTES));
}
