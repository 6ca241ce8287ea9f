"use client";
import { PLANS, type PlanName } from "@atoll/protocol/plans";
import { Plus, SquareTerminal } from "lucide-react";
import { useEffect, useState } from "react";
import { Button } from "#ui/button.tsx";
import { toFailure } from "#ui/failure.ts";
import { FailureNote } from "#ui/failure-note.tsx";
import { Kbd } from "#ui/kbd.tsx";
import { machineSize } from "#ui/machine-size.ts";
import { TemplatesSection } from "../templates/templates-section.tsx";
import { AppHeader } from "./app-header.tsx";
import { NewWorkspaceDialog } from "./new-workspace-dialog.tsx";
import { PaletteProvider } from "./palette.tsx";
import { useLiveWorkspaces, useWorkspaceList, type WorkspaceList } from "./use-workspaces.ts";
import { WorkspaceRow } from "./workspace-row.tsx";

export interface DashboardProps {
  user: { name: string; email: string; plan: PlanName };
  /** As the server rendered it, so that the page never starts empty. */
  firstList: WorkspaceList;
}

export function Dashboard({ user, firstList }: DashboardProps) {
  const [isCreating, setCreating] = useState(false);
  const { data, error } = useWorkspaceList(firstList);
  useLiveWorkspaces();
  const plan = PLANS[user.plan];
  const workspaces = data?.workspaces ?? [];
  const isFull = workspaces.length >= plan.maxWorkspaces;
  useNewWorkspaceKey(() => setCreating(true));
  return (
    <PaletteProvider onNewWorkspace={() => setCreating(true)}>
      <AppHeader user={user} />
      <main className="mx-auto max-w-5xl px-6 py-10">
        <div className="mb-6 flex flex-wrap items-end gap-4">
          <div>
            <h1 className="font-semibold text-2xl tracking-tight">Workspaces</h1>
            <p className="mt-1 text-ink-soft">
              {workspaces.length} of {plan.maxWorkspaces} on the {plan.label} plan
              {isFull ? " — delete one to make room" : ""}
            </p>
          </div>
          <div className="flex-1" />
          <Button tone="primary" disabled={isFull} onClick={() => setCreating(true)}>
            <Plus aria-hidden /> New workspace
          </Button>
        </div>
        {error ? <FailureNote failure={toFailure(error)} className="mb-4" /> : null}
        {data && !data.isHostReachable ? (
          <p
            role="status"
            className="mb-4 rounded-lg border border-line bg-warn-soft px-4 py-2.5 text-sm text-warn"
          >
            The machine host does not answer, so these are the last known states. Machines keep running; we
            keep trying.
          </p>
        ) : null}
        {workspaces.length > 0 ? (
          <ul
            aria-label="Workspaces"
            className="divide-y divide-line overflow-hidden rounded-xl border border-line bg-surface shadow-low"
          >
            {workspaces.map((workspace) => (
              <WorkspaceRow key={workspace.id} workspace={workspace} />
            ))}
          </ul>
        ) : data ? (
          <EmptyState size={machineSize(plan)} onCreate={() => setCreating(true)} />
        ) : null}
        <TemplatesSection isFull={isFull} />
      </main>
      <NewWorkspaceDialog
        open={isCreating}
        onOpenChange={setCreating}
        plan={user.plan}
        workspaces={workspaces}
      />
    </PaletteProvider>
  );
}

function EmptyState({ size, onCreate }: { size: string; onCreate: () => void }) {
  return (
    <section className="grid justify-items-center rounded-xl border border-line-strong border-dashed bg-surface px-6 py-20 text-center">
      <span className="mb-5 grid size-12 place-items-center rounded-xl bg-accent-soft text-accent">
        <SquareTerminal aria-hidden className="size-6" />
      </span>
      <p className="font-semibold text-lg">No workspaces yet</p>
      <p className="mt-1.5 max-w-md text-balance text-ink-soft">
        Make your first machine: {size}. It starts in about a second, and keeps everything you put on it.
      </p>
      <Button tone="primary" size="lg" className="mt-6" onClick={onCreate}>
        Create your first workspace <Kbd>N</Kbd>
      </Button>
    </section>
  );
}

/** `N` anywhere that is not a text field and not under a dialog. */
function useNewWorkspaceKey(run: () => void): void {
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      if (event.key.toLowerCase() !== "n" || event.ctrlKey || event.metaKey || event.altKey) return;
      const target = event.target as HTMLElement;
      if (target.closest("input, textarea, select, [contenteditable], [role=dialog], [role=menu]")) return;
      event.preventDefault();
      run();
    };
    addEventListener("keydown", onKeyDown);
    return () => removeEventListener("keydown", onKeyDown);
  });
}
