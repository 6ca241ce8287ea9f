import Link from "next/link";
import type { AccountReceipt } from "#server/domain/account/account-receipt.ts";
import { Button } from "#ui/button.tsx";
import { Logo } from "#ui/logo.tsx";
import { DownloadReceipt } from "./download-receipt.tsx";

function utc(atMs: number): string {
  return `${new Date(atMs).toISOString().replace("T", " ").slice(0, 19)} UTC`;
}

/** What was destroyed and when, and plainly what this page cannot prove. */
export function ReceiptPage({ receipt, json }: { receipt: AccountReceipt; json: string }) {
  return (
    <div className="min-h-dvh">
      <header className="mx-auto max-w-2xl px-6 py-6">
        <Link href="/" aria-label="Atoll, home" className="inline-flex rounded-md">
          <Logo />
        </Link>
      </header>
      <main className="mx-auto max-w-2xl px-6 pt-8 pb-20">
        <h1 className="font-semibold text-2xl tracking-tight">Your account is erased</h1>
        <p className="mt-2 max-w-lg text-ink-soft">
          The keys below no longer exist, so what they sealed cannot be read by anyone. This page needs no
          account; keep its address or the file.
        </p>
        <dl className="mt-8 divide-y divide-line overflow-hidden rounded-xl border border-line bg-surface text-sm shadow-low">
          <Row name="Requested">{utc(receipt.requestedAtMs)}</Row>
          <Row name="Completed">{utc(receipt.completedAtMs)}</Row>
          {receipt.ownerKeyDestroyedAtMs !== null ? (
            <Row name="Your key destroyed">
              {utc(receipt.ownerKeyDestroyedAtMs)}
              <Commitment value={receipt.ownerKeyCommitment} />
            </Row>
          ) : null}
          {receipt.erasures.map((erasure, index) => (
            <Row key={erasure.workspaceId} name={`Workspace ${index + 1}`}>
              Key destroyed {utc(erasure.keyDestroyedAtMs)}
              {erasure.dataUnlinkedAtMs === null ? "" : `, data removed ${utc(erasure.dataUnlinkedAtMs)}`}
              <Commitment value={erasure.keyCommitment} />
            </Row>
          ))}
          <Row name="Receipt">
            <span className="font-mono text-xs">{receipt.receiptId}</span>
          </Row>
        </dl>
        <p className="mt-5 max-w-lg text-ink-faint text-xs">
          A key commitment is a fingerprint made when the key was made. It shows which key is meant; no page
          can prove that nobody copied a key before it was destroyed.
        </p>
        <div className="mt-8 flex flex-wrap gap-2">
          <DownloadReceipt json={json} fileName={`atoll-receipt-${receipt.receiptId}.json`} />
          <Button asChild tone="ghost">
            <Link href="/">Back to the start</Link>
          </Button>
        </div>
      </main>
    </div>
  );
}

function Row({ name, children }: { name: string; children: React.ReactNode }) {
  return (
    <div className="grid gap-1 px-5 py-3.5 sm:grid-cols-[11rem_1fr]">
      <dt className="text-ink-faint">{name}</dt>
      <dd className="min-w-0 tabular-nums">{children}</dd>
    </div>
  );
}

function Commitment({ value }: { value: string | null }) {
  if (value === null) return null;
  return <p className="mt-1 break-all font-mono text-2xs text-ink-faint">commitment {value}</p>;
}
