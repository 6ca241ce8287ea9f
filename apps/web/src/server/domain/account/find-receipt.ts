import { findReceiptById } from "@atoll/db/receipts";
import { webProcess } from "#server/web-process.ts";
import { type AccountReceipt, accountReceipt } from "./account-receipt.ts";

/** Needs no account: there is none any more. `json` is the receipt byte for byte as it was stored. */
export async function findReceipt(
  id: string,
): Promise<{ receipt: AccountReceipt; json: string } | undefined> {
  const stored = await findReceiptById(webProcess().db, id);
  return stored ? { receipt: accountReceipt.parse(JSON.parse(stored.json)), json: stored.json } : undefined;
}
