import type { ErasureReceipt } from "@atoll/receipt/erasure-receipt";
import Link from "next/link";
import { Button } from "#ui/button.tsx";
import { PageFrame } from "#ui/page-frame.tsx";
import { DownloadReceipt } from "./download-receipt.tsx";
import { ReceiptFacts } from "./receipt-facts.tsx";

/** What was destroyed and when, and plainly what this page cannot prove. */
export function ReceiptPage({ receipt, text }: { receipt: ErasureReceipt; text: string }) {
  return (
    <PageFrame
      kind="text"
      title={receipt.scope === "account" ? "Your account is erased" : "This workspace is erased"}
      lead={`${
        receipt.keys.length > 0
          ? "The keys below no longer exist, so what they sealed cannot be read by anyone."
          : "No key was ever made for it: there was nothing stored to destroy."
      } This page needs no account; keep its address or, better, the file: it can be checked without us.`}
    >
      <ReceiptFacts receipt={receipt} />
      <div className="mt-8 flex flex-wrap gap-2">
        <DownloadReceipt json={text} fileName={`atoll-receipt-${receipt.receiptId}.json`} />
        <Button asChild>
          <Link href="/verify-receipt">Verify a receipt</Link>
        </Button>
        <Button asChild>
          <a href="/receipt-key.pem" download>
            Public key
          </a>
        </Button>
        <Button asChild tone="ghost">
          <Link href="/">Back to the start</Link>
        </Button>
      </div>
    </PageFrame>
  );
}
