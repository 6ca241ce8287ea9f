"use client";
import type { StartStage } from "@atoll/protocol/workspace-status";
import { Check } from "lucide-react";
import { classNames } from "#ui/class-names.ts";
import { Spinner } from "#ui/spinner.tsx";
import { useNow } from "#ui/use-now.ts";
import type { StartProgress } from "../connection/start-progress.ts";

const PATH_WORDS: Record<StartStage["path"], { title: string; text: string }> = {
  create: {
    title: "Restoring from template",
    text: "A new machine, restored from one that has already booted.",
  },
  resume: {
    title: "Resuming where you left off",
    text: "Memory, programs and terminals come back as they were.",
  },
  fork: {
    title: "Making your copy",
    text: "Its own machine, identity and keys; the disk continues from where the original was.",
  },
  boot: { title: "Starting from disk", text: "Memory was lost, files are safe. Programs start anew." },
};

const STEP_WORDS: Record<StartStage["name"], string> = {
  reserve: "Reserve a place",
  restore: "Bring back the machine",
  identity: "Give it fresh identity, time and randomness",
  ready: "Wait until it answers",
};

const STEP_ORDER: Array<StartStage["name"]> = ["reserve", "restore", "identity", "ready"];

/** Honest progress: the steps are the host's own, the times are measured, nothing moves by itself. */
export function StartCard({ progress }: { progress: StartProgress }) {
  const now = useNow(100);
  const { title, text } = PATH_WORDS[progress.path];
  const byName = new Map(progress.steps.map((step) => [step.name, step]));
  const percent = Math.round((progress.index / progress.total) * 100);
  const present = progress.steps.at(-1);
  const spentMs = present && now !== undefined ? now - present.startedAtMs : 0;
  const isSlow = progress.typicalMs !== undefined && spentMs > Math.max(2 * progress.typicalMs, 2000);
  return (
    <div>
      <h2 className="font-semibold text-lg">{title}</h2>
      <p className="mt-1 text-ink-soft text-sm">{text}</p>
      <div
        role="progressbar"
        aria-label={title}
        aria-valuenow={percent}
        aria-valuemin={0}
        aria-valuemax={100}
        className="mt-5 h-1 overflow-hidden rounded-full bg-active"
      >
        <div
          className="h-full rounded-full bg-accent transition-[width] duration-200"
          style={{ width: `${percent}%` }}
        />
      </div>
      <ol className="mt-4 grid gap-2 text-sm" aria-label="Steps">
        {STEP_ORDER.map((name, at) => {
          const step = byName.get(name);
          // Steps may be over before this page heard of the first one.
          const isDone = step ? step.endedAtMs !== undefined : at < progress.index;
          const endMs = step?.endedAtMs ?? now;
          return (
            <li
              key={name}
              className={classNames(
                "flex items-center gap-2.5",
                step || isDone ? "text-ink" : "text-ink-faint",
              )}
            >
              <span className="grid size-4 place-items-center">
                {isDone ? <Check aria-label="done" className="size-3.5 text-ok" /> : null}
                {step && !isDone ? <Spinner className="size-3.5 text-accent" /> : null}
                {step || isDone ? null : (
                  <span aria-hidden className="size-1.5 rounded-full bg-line-strong" />
                )}
              </span>
              <span className="flex-1">{STEP_WORDS[name]}</span>
              {step && endMs !== undefined ? (
                <span className="text-ink-faint text-xs tabular-nums">
                  {Math.max(0, (endMs - step.startedAtMs) / 1000).toFixed(1)} s
                </span>
              ) : null}
            </li>
          );
        })}
      </ol>
      <p aria-live="polite" className="sr-only">
        {present ? STEP_WORDS[present.name] : ""}
      </p>
      {isSlow ? (
        <p className="mt-4 text-ink-faint text-xs">
          This step usually takes {((progress.typicalMs ?? 0) / 1000).toFixed(1)} s. The host is busy; it is
          still working.
        </p>
      ) : null}
    </div>
  );
}
