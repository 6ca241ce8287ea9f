"use client";
import { AtollError } from "@atoll/protocol/atoll-error";
import { describeReceipt } from "@atoll/receipt/describe-receipt";
import { INVALID_REASONS } from "@atoll/receipt/invalid-reasons";
import { importPublicKey } from "@atoll/receipt/receipt-key";
import { type InvalidReason, type VerifiedReceipt, verifyReceipt } from "@atoll/receipt/verify-receipt";
import { FileCheck2, ShieldCheck } from "lucide-react";
import { type DragEvent, useId, useState } from "react";
import { classNames } from "#ui/class-names.ts";
import { type Failure, failureOf } from "#ui/failure.ts";
import { FailureNote } from "#ui/failure-note.tsx";
import { PageFrame } from "#ui/page-frame.tsx";
import { ReceiptFacts } from "./receipt-facts.tsx";

type Result = { kind: "holds"; verified: VerifiedReceipt } | { kind: "fails"; failure: Failure };

/** Checks a file in this browser. The service's key came with the page: nothing is sent or fetched. */
export function VerifyReceiptPage({ publicPem }: { publicPem: string }) {
  const [result, setResult] = useState<Result>();
  const [isOver, setOver] = useState(false);
  const inputId = useId();
  const check = async (file: File | undefined) => {
    if (file) setResult(await verify(await file.text(), publicPem));
  };
  const drop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    void check(event.dataTransfer.files[0]);
  };
  return (
    <PageFrame
      kind="text"
      title="Verify a receipt"
      lead="Drop the file you kept. It is checked in this browser against this service's key; nothing leaves it."
    >
      <label
        htmlFor={inputId}
        onDragOver={(event) => {
          event.preventDefault();
          setOver(true);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={drop}
        className={classNames(
          "mt-8 flex cursor-pointer flex-col items-center gap-2 rounded-xl border border-line-strong border-dashed bg-surface px-6 py-10 text-center text-sm transition-colors focus-within:border-accent hover:bg-hover",
          isOver && "border-accent bg-accent-soft",
        )}
      >
        <FileCheck2 aria-hidden className="size-6 text-ink-faint" />
        <span className="font-medium">Drop a receipt here, or choose its file</span>
        <span className="text-ink-faint text-xs">A JSON file such as atoll-receipt-….json</span>
        <input
          id={inputId}
          type="file"
          accept="application/json,.json"
          aria-label="Receipt file"
          className="sr-only"
          onChange={(event) => void check(event.target.files?.[0])}
        />
      </label>
      <div aria-live="polite">{result ? <Outcome result={result} /> : null}</div>
    </PageFrame>
  );
}

function Outcome({ result }: { result: Result }) {
  if (result.kind === "fails") return <FailureNote failure={result.failure} className="mt-6" />;
  const { receipt, keyId } = result.verified;
  return (
    <section aria-label="Result" className="mt-6">
      <div className="flex gap-3 rounded-lg border border-line bg-accent-soft p-4 text-sm">
        <ShieldCheck aria-hidden className="mt-0.5 size-5 shrink-0 text-accent-ink" />
        <div className="min-w-0">
          <h2 className="font-medium">This receipt holds</h2>
          <p className="mt-1 text-ink-soft">
            Nothing in it was changed since this service signed it with key{" "}
            <span className="break-all font-mono text-xs">{keyId}</span>.
          </p>
          <ul className="mt-2 grid gap-0.5 text-ink-soft">
            {describeReceipt(receipt).map((sentence) => (
              <li key={sentence}>{sentence}</li>
            ))}
          </ul>
        </div>
      </div>
      <ReceiptFacts receipt={receipt} />
    </section>
  );
}

async function verify(text: string, publicPem: string): Promise<Result> {
  try {
    return { kind: "holds", verified: await verifyReceipt(text, await importPublicKey(publicPem)) };
  } catch (error) {
    if (error instanceof AtollError && error.code === "receipt.invalid") {
      const reason = error.details?.reason as InvalidReason;
      return { kind: "fails", failure: { ...failureOf("receipt.invalid"), why: INVALID_REASONS[reason] } };
    }
    // Ed25519 is missing in older browsers, and on pages that were not loaded securely: that is not the receipt's fault.
    const what = "This browser cannot check signatures of this kind.";
    const why = "It does not offer Ed25519 here.";
    return {
      kind: "fails",
      failure: {
        ...failureOf("internal"),
        what,
        why,
        now: "Use a newer browser, or `atoll verify-receipt`.",
      },
    };
  }
}
