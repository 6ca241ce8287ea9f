import { utc } from "@atoll/receipt/describe-receipt";
import type { ErasureReceipt } from "@atoll/receipt/erasure-receipt";
import type { ReactNode } from "react";

/** Everything a receipt states, and what it says that it cannot prove. */
export function ReceiptFacts({ receipt }: { receipt: ErasureReceipt }) {
  const { keysDestroyedAtMs, dataUnlinkedAtMs, backupHorizonAtMs } = receipt;
  return (
    <>
      <dl className="mt-8 divide-y divide-line overflow-hidden rounded-xl border border-line bg-surface text-sm shadow-low">
        <Row name="Requested">{utc(receipt.requestedAtMs)}</Row>
        <Row name="Keys destroyed">
          {keysDestroyedAtMs === null ? "No key had ever been made." : utc(keysDestroyedAtMs)}
        </Row>
        <Row name="Data removed">{dataUnlinkedAtMs === null ? "There was none." : utc(dataUnlinkedAtMs)}</Row>
        <Row name="Backups gone by">
          {backupHorizonAtMs === null ? "The operator states no time." : utc(backupHorizonAtMs)}
        </Row>
        {receipt.keys.map((key) => (
          <Row key={key.commitment} name={key.of === "account" ? "Account key" : "Workspace key"}>
            Destroyed {utc(key.destroyedAtMs)}
            {key.dataUnlinkedAtMs === null ? "" : `, its data removed ${utc(key.dataUnlinkedAtMs)}`}
            <Small>commitment {key.commitment}</Small>
          </Row>
        ))}
        <Row name="Receipt">
          <span className="font-mono text-xs">{receipt.receiptId}</span>
          <Small>
            issued {utc(receipt.issuedAtMs)} by {receipt.issuer.origin}
          </Small>
          <Small>key {receipt.issuer.keyId}</Small>
        </Row>
      </dl>
      <h2 className="mt-8 font-semibold text-base">What it cannot prove</h2>
      <ul className="mt-2 grid max-w-lg list-disc gap-1.5 pl-5 text-ink-soft text-sm">
        {receipt.cannotProve.map((sentence) => (
          <li key={sentence}>{sentence}</li>
        ))}
      </ul>
    </>
  );
}

function Row({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div className="grid gap-1 px-5 py-3.5 sm:grid-cols-[11rem_1fr]">
      <dt className="text-ink-faint">{name}</dt>
      <dd className="min-w-0 tabular-nums">{children}</dd>
    </div>
  );
}

function Small({ children }: { children: ReactNode }) {
  return <p className="mt-1 break-all font-mono text-2xs text-ink-faint">{children}</p>;
}
