"use client";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import type { FormEvent } from "react";
import { toast } from "sonner";
import type { TemplateView } from "#server/domain/template/template-view.ts";
import { useTRPC } from "#trpc/client.tsx";
import { byteWords } from "#ui/byte-words.ts";
import { Dialog } from "#ui/dialog.tsx";
import { toFailure } from "#ui/failure.ts";
import { FailureNote } from "#ui/failure-note.tsx";
import { FormActions } from "#ui/form-actions.tsx";

export interface ReviewTemplateDialogProps {
  template: TemplateView | undefined;
  onClose: () => void;
}

const RULE_WORDS: Record<string, string> = { ssh: "SSH keys", gpg: "GPG keys", netrc: "Sign-ins" };

/** The agent's name of a rule as people read it: `machine-identity` as "Machine identity". */
function ruleWords(rule: string): string {
  const known = RULE_WORDS[rule];
  if (known !== undefined) return known;
  return `${rule.slice(0, 1).toUpperCase()}${rule.slice(1).replaceAll("-", " ")}`;
}

/** What scrubbing found, before anyone else may begin from it. */
export function ReviewTemplateDialog({ template, onClose }: ReviewTemplateDialogProps) {
  return (
    <Dialog
      open={template !== undefined}
      onOpenChange={(open) => !open && onClose()}
      title={`Review template ${template?.name ?? ""}`}
      description="Publishing lets everyone with an account here begin from it. Everything else on its disk goes along: look at it first if you are not sure."
      className="max-w-xl"
    >
      {template ? <Review template={template} onClose={onClose} /> : null}
    </Dialog>
  );
}

function Review({ template, onClose }: { template: TemplateView; onClose: () => void }) {
  const trpc = useTRPC();
  const queryClient = useQueryClient();
  const publish = useMutation(
    trpc.template.publish.mutationOptions({
      onSuccess: async () => {
        await queryClient.invalidateQueries(trpc.template.list.queryFilter());
        toast.success(`${template.name} is published`);
        onClose();
      },
    }),
  );
  const { scrubbed, sizeBytes } = template;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    publish.mutate({ id: template.id });
  };
  return (
    <form onSubmit={submit} className="grid gap-5">
      {publish.error ? <FailureNote failure={toFailure(publish.error)} /> : null}
      <section className="grid gap-2">
        <h3 className="font-medium text-sm">
          {scrubbed.length === 0
            ? "Nothing had to be removed"
            : `${scrubbed.length} ${scrubbed.length === 1 ? "file was" : "files were"} removed or emptied`}
        </h3>
        {scrubbed.length === 0 ? (
          <p className="text-ink-soft text-sm">
            No keys, tokens, histories or machine identity were found by the rules. Rules cannot know every
            secret: files of your own making are not read.
          </p>
        ) : (
          <ul
            aria-label="Removed files"
            // biome-ignore lint/a11y/noNoninteractiveTabindex: a list that scrolls must be reachable by keys
            tabIndex={0}
            className="max-h-64 divide-y divide-line overflow-y-auto rounded-lg border border-line text-sm"
          >
            {scrubbed.map(({ path, rule }) => (
              <li key={`${rule} ${path}`} className="flex items-baseline gap-3 px-3 py-1.5">
                <span className="min-w-0 flex-1 break-all font-mono text-xs">{path}</span>
                <span className="shrink-0 text-ink-faint text-xs">{ruleWords(rule)}</span>
              </li>
            ))}
          </ul>
        )}
        {sizeBytes === undefined ? null : (
          <p className="text-ink-faint text-xs">The template takes {byteWords(sizeBytes)}.</p>
        )}
      </section>
      <FormActions
        submit="Publish"
        cancel="Not now"
        onCancel={onClose}
        isBusy={publish.isPending}
        disabled={template.state !== "draft"}
      />
    </form>
  );
}
