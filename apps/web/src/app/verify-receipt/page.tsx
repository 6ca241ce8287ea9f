import type { Metadata } from "next";
import { VerifyReceiptPage } from "#features/account/verify-receipt-page.tsx";
import { webProcess } from "#server/web-process.ts";

export const metadata: Metadata = { title: "Verify a receipt" };
export const dynamic = "force-dynamic";

/** The key comes with the page, so that checking needs no network afterwards. */
export default async function Page() {
  return <VerifyReceiptPage publicPem={await webProcess().receipts.publicPem()} />;
}
