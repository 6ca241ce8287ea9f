"use client";
import type { AtollError } from "@atoll/protocol/atoll-error";
import Link from "next/link";
import type { ReactNode } from "react";
import type { WorkspaceView } from "#server/domain/workspace/workspace-view.ts";
import { Button } from "#ui/button.tsx";
import { failureOf } from "#ui/failure.ts";
import { useModels } from "./models-context.tsx";

/** The connection was refused and waiting does not help: what it is, and the ways on. */
export function RefusalCard({ error, workspace }: { error: AtollError; workspace: WorkspaceView }) {
  const { connection } = useModels();
  const failure = failureOf(error.code, error.details);
  return (
    <div role="alert" className="grid gap-1">
      <h2 className="font-semibold text-lg">{failure.what}</h2>
      <p className="text-ink-soft text-sm">{explanation()}</p>
      <p className="font-mono text-2xs text-ink-faint">{failure.code}</p>
      <div className="mt-4 flex flex-wrap gap-2">
        {action()}
        <Button asChild tone="ghost">
          <Link href="/">Your workspaces</Link>
        </Button>
      </div>
    </div>
  );

  function explanation(): ReactNode {
    const { planLabel, limit } = error.details ?? {};
    if (error.code === "plan.session_limit" && planLabel !== undefined) {
      const tabs = limit === 1 ? "one open tab" : `${limit ?? "a number of"} open tabs`;
      return `The ${planLabel} plan allows ${tabs} for one workspace. Taking over ends the oldest one; nothing in it is lost.`;
    }
    return `${failure.why} ${failure.now}`;
  }

  function action(): ReactNode {
    switch (error.code) {
      case "plan.session_limit":
        return (
          <Button tone="primary" onClick={() => connection.takeOver()}>
            Take over the oldest tab
          </Button>
        );
      case "session.taken_over":
        return (
          <Button tone="primary" onClick={() => connection.takeOver()}>
            Take it back
          </Button>
        );
      case "auth.required":
      case "session.revoked":
        return (
          <Button asChild tone="primary">
            <a href={`/signin?callbackUrl=${encodeURIComponent(`/w/${workspace.slug}`)}`}>Sign in</a>
          </Button>
        );
      default:
        return (
          <Button tone="primary" onClick={() => connection.reconnectNow()}>
            Try again
          </Button>
        );
    }
  }
}
