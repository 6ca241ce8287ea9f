import { utc } from "@atoll/receipt/describe-receipt";
import Link from "next/link";

export interface ReceiptListProps {
  receipts: Array<{ id: string; createdAt: Date }>;
}

export function ReceiptList({ receipts }: ReceiptListProps) {
  return (
    <div className="divide-y divide-line text-sm">
      {receipts.length === 0 ? <p className="px-5 py-3.5 text-ink-soft">Nothing was deleted yet.</p> : null}
      <ul aria-label="Erasure receipts" className="divide-y divide-line empty:hidden">
        {receipts.map(({ id, createdAt }) => (
          <li key={id} className="flex flex-wrap items-baseline gap-x-4 px-5 py-2.5">
            <Link href={`/erased/${id}`} className="font-medium text-accent-ink hover:underline">
              {utc(createdAt.getTime())}
            </Link>
            <span className="min-w-0 truncate font-mono text-2xs text-ink-faint">{id}</span>
          </li>
        ))}
      </ul>
      <p className="px-5 py-3 text-ink-faint text-xs">
        <Link href="/verify-receipt" className="hover:underline">
          Verify a receipt
        </Link>
      </p>
    </div>
  );
}
