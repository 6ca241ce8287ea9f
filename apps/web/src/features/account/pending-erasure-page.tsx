"use client";
import { utc } from "@atoll/receipt/describe-receipt";
import { useRouter } from "next/navigation";
import { useEffect } from "react";
import { PageFrame } from "#ui/page-frame.tsx";
import { Spinner } from "#ui/spinner.tsx";

const LOOK_AGAIN_MS = 3_000;

/** Until the keys are destroyed there is nothing to attest; the page looks again by itself. */
export function PendingErasurePage({
  scope,
  requestedAtMs,
}: {
  scope: "account" | "workspace";
  requestedAtMs: number;
}) {
  const router = useRouter();
  useEffect(() => {
    const timer = setInterval(() => router.refresh(), LOOK_AGAIN_MS);
    return () => clearInterval(timer);
  }, [router]);
  return (
    <PageFrame
      kind="text"
      title={scope === "account" ? "Your account is closed" : "This workspace is closed"}
      lead="Nobody can open it any more. Its keys are not destroyed yet: their host is away or busy. The receipt appears here once they are; keep this address."
    >
      <p role="status" className="mt-6 flex items-center gap-2 text-ink-soft text-sm">
        <Spinner /> Requested {utc(requestedAtMs)}, pending
      </p>
    </PageFrame>
  );
}
