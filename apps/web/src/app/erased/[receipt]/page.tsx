import type { Metadata } from "next";
import { notFound } from "next/navigation";
import { PendingErasurePage } from "#features/account/pending-erasure-page.tsx";
import { ReceiptPage } from "#features/account/receipt-page.tsx";
import { findReceipt } from "#server/domain/account/find-receipt.ts";

export const metadata: Metadata = { title: "Erasure receipt" };

/** The random id in the address is what its reader knows. */
export default async function Page({ params }: PageProps<"/erased/[receipt]">) {
  const found = await findReceipt((await params).receipt);
  if (!found) notFound();
  if (found.status === "pending") return <PendingErasurePage {...found} />;
  return <ReceiptPage receipt={found.receipt} text={found.text} />;
}
