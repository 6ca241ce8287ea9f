import Link from "next/link";
import type { ReactNode } from "react";
import { Button } from "./button.tsx";
import type { Failure } from "./failure.ts";
import { PageFrame } from "./page-frame.tsx";

/** A whole page for one failure. */
export function MessagePage({ failure, actions }: { failure: Failure; actions?: ReactNode }) {
  return (
    <PageFrame kind="message" title={failure.what} lead={`${failure.why} ${failure.now}`}>
      <p className="mt-3 font-mono text-ink-faint text-xs">{failure.code}</p>
      <div className="mt-7 flex flex-wrap gap-2">
        {actions}
        <Button asChild>
          <Link href="/">Your workspaces</Link>
        </Button>
      </div>
    </PageFrame>
  );
}
