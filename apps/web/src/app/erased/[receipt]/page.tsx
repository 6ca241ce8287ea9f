import { findReceiptById } from "@atoll/db/receipts";
import type { Metadata } from "next";
import { notFound } from "next/navigation";
import { ReceiptPage } from "#features/account/receipt-page.tsx";
import { accountReceipt } from "#server/domain/account/account-receipt.ts";
import { webProcess } from "#server/web-process.ts";

export const metadata: Metadata = { title: "Erased" };

/** Needs no account: there is none any more. The random id in the address is what its reader knows. */
export default async function Page({ params }: PageProps<"/erased/[receipt]">) {
  const stored = await findReceiptById(webProcess().db, (await params).receipt);
  if (!stored) notFound();
  return <ReceiptPage receipt={accountReceipt.parse(JSON.parse(stored.json))} json={stored.json} />;
}
