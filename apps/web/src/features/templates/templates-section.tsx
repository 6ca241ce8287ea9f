"use client";
import { useState } from "react";
import type { TemplateView } from "#server/domain/template/template-view.ts";
import { Button } from "#ui/button.tsx";
import { failureOf } from "#ui/failure.ts";
import { machineSize } from "#ui/machine-size.ts";
import { Spinner } from "#ui/spinner.tsx";
import { ForkDialog } from "../dashboard/fork-dialog.tsx";
import { DeleteTemplateDialog } from "./delete-template-dialog.tsx";
import { ReviewTemplateDialog } from "./review-template-dialog.tsx";
import { useTemplates } from "./use-templates.ts";

const STATE_WORDS: Record<NonNullable<TemplateView["state"]>, string> = {
  making: "Being made",
  draft: "Draft, only you can use it",
  published: "Published",
  failed: "Could not be made",
  erased: "Erased",
};

/** Below the workspaces, once there is a template to show. */
export function TemplatesSection({ isFull }: { isFull: boolean }) {
  const { data } = useTemplates();
  const [used, setUsed] = useState<TemplateView>();
  const [reviewed, setReviewed] = useState<TemplateView>();
  const [doomed, setDoomed] = useState<TemplateView>();
  if (!data || data.length === 0) return null;
  return (
    <section aria-labelledby="templates" className="mt-10">
      <h2 id="templates" className="mb-3 font-semibold text-lg tracking-tight">
        Templates
      </h2>
      <ul
        aria-label="Templates"
        className="divide-y divide-line overflow-hidden rounded-xl border border-line bg-surface shadow-low"
      >
        {data.map((template) => (
          <li
            key={template.id}
            aria-label={template.name}
            className="flex flex-wrap items-center gap-x-6 gap-y-2 px-5 py-3.5"
          >
            <div className="grid min-w-0 flex-[1_1_16rem] gap-0.5">
              <span className="truncate font-medium">{template.name}</span>
              <span className="text-ink-faint text-xs">{machineSize(template)}</span>
            </div>
            <span className="flex flex-[1_1_15rem] items-center gap-2 text-ink-soft text-xs">
              {template.state === "making" ? <Spinner className="size-3" /> : null}
              {stateWords(template)}
            </span>
            <div className="flex gap-1.5">
              {template.isOwn && template.state === "draft" ? (
                <Button onClick={() => setReviewed(template)}>Review and publish</Button>
              ) : null}
              <Button
                disabled={isFull || (template.state !== "draft" && template.state !== "published")}
                aria-label={`Use ${template.name}`}
                onClick={() => setUsed(template)}
              >
                Use
              </Button>
              {template.isOwn ? (
                <Button
                  tone="danger"
                  aria-label={`Delete template ${template.name}`}
                  onClick={() => setDoomed(template)}
                >
                  Delete
                </Button>
              ) : null}
            </div>
          </li>
        ))}
      </ul>
      <ForkDialog
        fork={
          used && {
            origin: { kind: "template", templateId: used.id },
            suggestedName: used.name,
            text: `Begins with everything in “${used.name}”.`,
          }
        }
        onClose={() => setUsed(undefined)}
      />
      <ReviewTemplateDialog template={reviewed} onClose={() => setReviewed(undefined)} />
      <DeleteTemplateDialog template={doomed} onClose={() => setDoomed(undefined)} />
    </section>
  );
}

function stateWords({ state, isOwn, errorCode }: TemplateView): string {
  if (state === undefined) return "The machine host does not answer";
  if (state === "failed" && errorCode) return `${STATE_WORDS.failed}: ${failureOf(errorCode).what}`;
  return state === "published" && isOwn ? "Published by you" : STATE_WORDS[state];
}
