"use client";
import dynamic from "next/dynamic";
import { useEffect } from "react";
import { Group, Panel, Separator, useDefaultLayout, usePanelRef } from "react-resizable-panels";
import type { WorkspaceView } from "#server/domain/workspace/workspace-view.ts";
import type { CursorPosition } from "../editor/code-editor.tsx";
import { EditorArea } from "../editor/editor-area.tsx";
import { Explorer } from "../files/explorer.tsx";
import { PortsView } from "../preview/ports-view.tsx";
import { PreviewPane } from "../preview/preview-pane.tsx";
import { usePreviewUrl } from "../preview/use-preview-url.ts";
import { TimelineView } from "../timeline/timeline-view.tsx";
import { useModels } from "./models-context.tsx";
import type { WorkbenchState } from "./workbench-state.ts";

const TerminalPanel = dynamic(
  () => import("../terminal/terminal-panel.tsx").then((module) => module.TerminalPanel),
  { ssr: false },
);

export interface PanesProps {
  workspace: WorkspaceView;
  previewHost: string;
  state: WorkbenchState;
  onCursor: (position: CursorPosition) => void;
  onPalette: () => void;
}

/** Side bar, editor over terminal, preview; sizes are remembered for each workspace. */
export function Panes({ workspace, previewHost, state, onCursor, onPalette }: PanesProps) {
  const { side, preview } = state;
  const { openInTab } = usePreviewUrl(workspace.id);
  const panelIds = [...(side ? ["side"] : []), "centre", ...(preview ? ["preview"] : [])];
  const layout = useDefaultLayout({ id: `atoll.columns.${workspace.id}`, panelIds, storage: localStorage });
  return (
    <Group
      key={panelIds.join()}
      orientation="horizontal"
      className="min-w-0 flex-1"
      {...(layout.defaultLayout ? { defaultLayout: layout.defaultLayout } : {})}
      onLayoutChanged={layout.onLayoutChanged}
    >
      {side ? (
        <>
          <Panel id="side" defaultSize={260} minSize={160}>
            {side === "explorer" ? <Explorer /> : null}
            {side === "ports" ? (
              <PortsView
                onPreview={(port) => state.set({ preview: { port, path: "/" } })}
                onOpenInTab={(port) => openInTab(port)}
              />
            ) : null}
            {side === "timeline" ? <TimelineView workspace={workspace} state={state} /> : null}
          </Panel>
          <Bar label="Resize side bar" isVertical />
        </>
      ) : null}
      <Panel id="centre" minSize={240}>
        <Centre state={state} workspaceId={workspace.id} onCursor={onCursor} onPalette={onPalette} />
      </Panel>
      {preview ? (
        <>
          <Bar label="Resize preview" isVertical />
          <Panel id="preview" defaultSize="38%" minSize={240}>
            <PreviewPane
              workspaceId={workspace.id}
              hostSuffix={`${workspace.slug}.${previewHost}`}
              target={preview}
              onNavigate={(target) => state.set({ preview: target })}
              onClose={() => state.set({ preview: undefined })}
            />
          </Panel>
        </>
      ) : null}
    </Group>
  );
}

interface CentreProps extends Pick<PanesProps, "state" | "onCursor" | "onPalette"> {
  workspaceId: string;
}

/** The terminal panel is folded, not removed: its screens keep what they show. */
function Centre({ state, workspaceId, onCursor, onPalette }: CentreProps) {
  const panel = usePanelRef();
  const { downloads } = useModels();
  const { isPanelOpen } = state;
  const download = (path: string) => {
    // Its progress is shown there.
    state.set({ side: "explorer" });
    void downloads.file(path);
  };
  const layout = useDefaultLayout({
    id: `atoll.rows.${workspaceId}`,
    panelIds: ["editor", "terminal"],
    storage: localStorage,
    onlySaveAfterUserInteractions: true,
  });
  useEffect(() => {
    if (isPanelOpen) panel.current?.expand();
    else panel.current?.collapse();
  }, [isPanelOpen, panel]);
  return (
    <Group
      orientation="vertical"
      className="h-full"
      {...(layout.defaultLayout ? { defaultLayout: layout.defaultLayout } : {})}
      onLayoutChanged={layout.onLayoutChanged}
    >
      <Panel id="editor" minSize={80}>
        <EditorArea onCursor={onCursor} onPalette={onPalette} onDownload={download} />
      </Panel>
      <Bar label="Resize terminal panel" />
      <Panel id="terminal" panelRef={panel} defaultSize="38%" minSize={90} collapsible collapsedSize={0}>
        <TerminalPanel onHide={() => state.set({ isPanelOpen: false })} />
      </Panel>
    </Group>
  );
}

function Bar({ label, isVertical = false }: { label: string; isVertical?: boolean }) {
  return (
    <Separator
      aria-label={label}
      className={`relative z-10 shrink-0 bg-line outline-none transition-colors after:absolute hover:bg-accent focus-visible:bg-accent data-[separator=active]:bg-accent ${
        isVertical ? "w-px after:-inset-x-1 after:inset-y-0" : "h-px after:-inset-y-1 after:inset-x-0"
      }`}
    />
  );
}
