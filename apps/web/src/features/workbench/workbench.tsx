"use client";
import type { PlanName } from "@atoll/protocol/plans";
import { useRouter } from "next/navigation";
import { useState } from "react";
import type { WorkspaceView } from "#server/domain/workspace/workspace-view.ts";
import { CommandList } from "#ui/command-list.tsx";
import { toastFailure } from "#ui/toaster.tsx";
import { useIsNarrow } from "#ui/use-is-narrow.ts";
import { DeleteWorkspaceDialog } from "../dashboard/delete-workspace-dialog.tsx";
import type { CursorPosition } from "../editor/code-editor.tsx";
import { DiskUsageDialog } from "../files/disk-usage.tsx";
import { WORKSPACE_ROOT } from "../files/guest-path.ts";
import { IdleWarning } from "../lifecycle/idle-warning.tsx";
import { MemoryNotice } from "../lifecycle/memory-notice.tsx";
import { ActivityBar } from "./activity-bar.tsx";
import { ConnectionBanner } from "./connection-banner.tsx";
import { Curtain } from "./curtain.tsx";
import { ModelsContext, useModels } from "./models-context.tsx";
import { Panes } from "./panes.tsx";
import { StatusBar } from "./status-bar.tsx";
import { TopBar } from "./top-bar.tsx";
import { useCommands } from "./use-commands.tsx";
import { useKeys } from "./use-keys.ts";
import { usePageTitle } from "./use-page-title.ts";
import { useWorkbenchModels } from "./use-workbench-models.ts";
import { WorkbenchFrame } from "./workbench-frame.tsx";
import { workbenchStore } from "./workbench-state.ts";

export interface WorkbenchProps {
  workspace: WorkspaceView;
  gatewayUrl: string;
  /** `<preview domain>:<port>` */
  previewHost: string;
  idlePauseSeconds: number;
  plan: PlanName;
}

export function Workbench(props: WorkbenchProps) {
  const models = useWorkbenchModels({
    workspaceId: props.workspace.id,
    gatewayUrl: props.gatewayUrl,
    idlePauseSeconds: props.idlePauseSeconds,
  });
  if (!models) return <WorkbenchFrame name={props.workspace.name} />;
  return (
    <ModelsContext value={models}>
      <OpenWorkbench {...props} />
    </ModelsContext>
  );
}

const MENU_COMMANDS = ["disk.usage", "workspace.pause", "workspace.stop", "go.home", "workspace.delete"];

function OpenWorkbench({ workspace, previewHost, idlePauseSeconds, plan }: WorkbenchProps) {
  const { editor, terminals, files } = useModels();
  const router = useRouter();
  const state = workbenchStore(workspace.id)();
  const [isPaletteOpen, setPaletteOpen] = useState(false);
  const [isUsageOpen, setUsageOpen] = useState(false);
  const [isDeleting, setDeleting] = useState(false);
  const [cursor, setCursor] = useState<CursorPosition>();
  const commands = useCommands({
    workspace,
    state,
    onDelete: () => setDeleting(true),
    onDiskUsage: () => setUsageOpen(true),
  });
  usePageTitle(workspace.name);
  const idle = { workspaceId: workspace.id, plan, idlePauseSeconds };
  const isNarrow = useIsNarrow();
  const togglePanel = () => {
    const isCovered = isNarrow && (state.side !== undefined || state.preview !== undefined);
    state.set(
      isCovered
        ? { side: undefined, preview: undefined, isPanelOpen: true }
        : { isPanelOpen: !state.isPanelOpen },
    );
  };
  useKeys({
    palette: () => setPaletteOpen(true),
    save: () => void editor.saveAll(),
    togglePanel,
    toggleSide: () => state.set({ side: state.side ? undefined : "explorer" }),
    newTerminal: () => {
      state.set({ isPanelOpen: true });
      terminals.open().catch(toastFailure);
    },
    closeFile: () => {
      const { active } = editor.state.get();
      if (active) void editor.close(active);
    },
    stepFile: (by) => editor.step(by),
  });
  return (
    <div className="flex h-dvh flex-col overflow-hidden">
      <TopBar
        name={workspace.name}
        onPalette={() => setPaletteOpen(true)}
        commands={MENU_COMMANDS.flatMap((id) => commands.find((command) => command.id === id) ?? [])}
      />
      <ConnectionBanner />
      <MemoryNotice state={state} />
      <main className="relative flex min-h-0 flex-1">
        <ActivityBar
          side={state.side}
          onSide={(side) => state.set({ side })}
          isPanelOpen={state.isPanelOpen}
          onPanel={togglePanel}
        />
        <Panes
          workspace={workspace}
          previewHost={previewHost}
          state={state}
          onCursor={setCursor}
          onPalette={() => setPaletteOpen(true)}
        />
        <IdleWarning {...idle} />
        <Curtain workspace={workspace} />
      </main>
      <StatusBar cursor={cursor} {...idle} />
      {isPaletteOpen ? (
        <CommandList
          open
          onOpenChange={setPaletteOpen}
          items={commands}
          label="Command palette"
          placeholder="Type a command…"
        />
      ) : null}
      <DiskUsageDialog
        open={isUsageOpen}
        onClose={() => setUsageOpen(false)}
        files={files}
        root="/"
        start={WORKSPACE_ROOT}
        shownPath={(path) => path}
      />
      <DeleteWorkspaceDialog
        open={isDeleting}
        onClose={() => setDeleting(false)}
        workspace={workspace}
        onDeleted={() => router.push("/")}
      />
    </div>
  );
}
