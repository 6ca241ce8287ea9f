import { uuid } from "@atoll/protocol/ids";
import * as z from "zod";
import { fromBase64, toBase64 } from "./base64.ts";

/** The last character has unused bits: spelled otherwise, the same bytes would come out of another file. */
function isCanonical(text: string): boolean {
  try {
    return toBase64(fromBase64(text)) === text;
  } catch {
    return false;
  }
}

const sha256Hex = z.string().regex(/^[0-9a-f]{64}$/);
const timeMs = z.number().int().nonnegative();

/** What no receipt can prove. Part of what is signed, so that it is read together with the rest. */
export const RECEIPT_LIMITS = [
  "It shows that the holder of the signing key stated these facts. It does not show that the statement is true.",
  "It cannot show that nobody copied a key, or data that was open, before the key was destroyed.",
  "It says nothing about what was taken out before: downloads, pushes, templates that were published, forks of others.",
  "A commitment tells which key is meant to whoever noted it when the key was made. It does not show that the key is gone.",
  "Deleted rows leave the files of a database that Atoll brought along within minutes while it runs. Backups, and the files of a database kept elsewhere, may hold names and addresses until the horizon named here. They hold no keys.",
  "What stays: this receipt, the mark that it was asked for, and a log of what was done and when, by random ids without names.",
] as const;

export const destroyedKey = z.strictObject({
  /** Whose key: an account's wraps those of its workspaces. */
  of: z.enum(["account", "workspace"]),
  /** SHA-256 of the id of the account or workspace, hex. */
  subjectHash: sha256Hex,
  /** Made when the key was; tells nothing about it. */
  commitment: sha256Hex,
  destroyedAtMs: timeMs,
  /** When the data under it was unlinked as well; null for an account's key, which has none of its own. */
  dataUnlinkedAtMs: timeMs.nullable(),
});
export type DestroyedKey = z.infer<typeof destroyedKey>;

/** All that is signed. Names nobody: ids are hashed, so only who still knows an id can tell that it is meant. */
export const erasureReceipt = z
  .strictObject({
    format: z.literal("atoll-erasure-receipt"),
    version: z.literal(1),
    receiptId: uuid,
    /** There is no other: what is still pending gets no receipt. */
    status: z.literal("erased"),
    scope: z.enum(["account", "workspace"]),
    /** SHA-256 of the id of what was erased, hex. */
    subjectHash: sha256Hex,
    counts: z.strictObject({
      workspaces: z.number().int().nonnegative(),
      keys: z.number().int().nonnegative(),
    }),
    keys: z.array(destroyedKey).max(10_000),
    requestedAtMs: timeMs,
    /** Of the last key; null when there never was one. */
    keysDestroyedAtMs: timeMs.nullable(),
    /** Of the last data; null when there was none. */
    dataUnlinkedAtMs: timeMs.nullable(),
    issuedAtMs: timeMs,
    /** Until when backups of the database may hold what is erased; null: the operator states nothing. */
    backupHorizonAtMs: timeMs.nullable(),
    issuer: z.strictObject({ origin: z.string().max(300), keyId: sha256Hex }),
    cannotProve: z.array(z.string().max(300)).min(1).max(20),
  })
  .check(({ value, issues }) => {
    const { counts, keys, keysDestroyedAtMs, dataUnlinkedAtMs } = value;
    const agrees =
      counts.keys === keys.length &&
      keysDestroyedAtMs === latest(keys.map((key) => key.destroyedAtMs)) &&
      dataUnlinkedAtMs === latest(keys.map((key) => key.dataUnlinkedAtMs));
    if (!agrees) issues.push({ code: "custom", message: "its figures do not agree", input: value });
  });
export type ErasureReceipt = z.infer<typeof erasureReceipt>;

/** Of those that are there. */
export function latest(times: ReadonlyArray<number | null>): number | null {
  return times.reduce((last, time) => (last === null ? time : Math.max(last, time ?? last)), null);
}

/** The file: a receipt and who signed it. */
export const receiptFile = z.strictObject({
  receipt: erasureReceipt,
  signature: z.strictObject({
    algorithm: z.literal("Ed25519"),
    /** Raw, base64. */
    publicKey: z.base64().length(44).refine(isCanonical),
    value: z.base64().length(88).refine(isCanonical),
  }),
});
export type ReceiptFile = z.infer<typeof receiptFile>;
