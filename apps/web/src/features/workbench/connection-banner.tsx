"use client";
import { CloudOff, HardDrive } from "lucide-react";
import { Button } from "#ui/button.tsx";
import { failureOf } from "#ui/failure.ts";
import { Spinner } from "#ui/spinner.tsx";
import { useNow } from "#ui/use-now.ts";
import type { ConnectionPhase } from "../connection/connection.ts";
import { standingWords } from "../lifecycle/state-story.ts";
import { useModelState } from "../use-model-state.ts";
import { useModels } from "./models-context.tsx";

function lossWords(phase: ConnectionPhase): string {
  // The browser knows only when there is no network at all, but then it is right.
  if (!navigator.onLine) return "You are offline.";
  return phase.name === "waiting" ? failureOf(phase.error.code).what : "The connection was lost.";
}

/** While its machine stands still: what is typed waits for it. */
function StandingBanner({ errorCode }: { errorCode: string | undefined }) {
  return (
    <p
      role="status"
      aria-label="Machine"
      className="flex min-h-9 shrink-0 items-center gap-x-3 border-line border-b bg-warn-soft px-4 py-1 text-sm"
    >
      <HardDrive aria-hidden className="size-4 shrink-0 text-warn" />
      <span>
        {standingWords(errorCode)}{" "}
        <span className="font-mono text-2xs text-ink-soft">{errorCode ?? "host.disk_full"}</span>
      </span>
    </p>
  );
}

/** A thin line while a workbench that was there has lost its connection, or its machine waits. Nothing is blocked by it. */
export function ConnectionBanner() {
  const { connection } = useModels();
  const { phase, wasLinked, status } = useModelState(connection.state);
  const now = useNow(500);
  if (phase.name === "connected" && status?.state === "running" && status.reason === "host_disk")
    return <StandingBanner errorCode={status.errorCode} />;
  if (!wasLinked || phase.name === "connected" || phase.name === "refused") return null;
  const seconds =
    phase.name === "waiting" ? Math.max(0, Math.ceil((phase.retryAtMs - (now ?? 0)) / 1000)) : 0;
  return (
    <div
      role="status"
      aria-label="Connection"
      className="flex min-h-9 shrink-0 flex-wrap items-center gap-x-3 gap-y-1 border-line border-b bg-warn-soft px-4 py-1 text-sm"
    >
      <CloudOff aria-hidden className="size-4 text-warn" />
      <p className="flex-1">
        {lossWords(phase)} You can go on editing; changes are kept here until they can be saved.
      </p>
      {phase.name === "waiting" ? (
        <>
          <span className="text-ink-soft tabular-nums">Reconnecting in {seconds} s</span>
          <Button size="sm" onClick={() => connection.reconnectNow()}>
            Reconnect now
          </Button>
        </>
      ) : (
        <span className="flex items-center gap-2 text-ink-soft">
          <Spinner className="size-3.5" /> Reconnecting…
        </span>
      )}
    </div>
  );
}
