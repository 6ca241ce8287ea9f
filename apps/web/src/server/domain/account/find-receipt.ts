import { findReceiptById } from "@atoll/db/receipts";
import { findErasureByReceipt } from "@atoll/db/tombstones";
import { type ErasureReceipt, receiptFile } from "@atoll/receipt/erasure-receipt";
import { webProcess } from "#server/web-process.ts";

export type FoundReceipt =
  /** `text` is the file byte for byte. */
  | { status: "erased"; receipt: ErasureReceipt; text: string }
  /** Asked for, and its keys are not destroyed yet: nothing is signed before they are. */
  | { status: "pending"; scope: ErasureReceipt["scope"]; requestedAtMs: number };

/** Needs no account: there may be none any more. */
export async function findReceipt(id: string): Promise<FoundReceipt | undefined> {
  const { db } = webProcess();
  const stored = await findReceiptById(db, id);
  if (stored) {
    return {
      status: "erased",
      receipt: receiptFile.parse(JSON.parse(stored.json)).receipt,
      text: stored.json,
    };
  }
  const asked = await findErasureByReceipt(db, id);
  if (asked === null || asked.completedAt !== null) return undefined;
  return { status: "pending", scope: asked.kind, requestedAtMs: asked.requestedAt.getTime() };
}
