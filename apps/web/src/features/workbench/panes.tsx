"use client";
import dynamic from "next/dynamic";
import { type ReactNode, useEffect } from "react";
import { Group, Panel, Separator, useDefaultLayout, usePanelRef } from "react-resizable-panels";
import type { WorkspaceView } from "#server/domain/workspace/workspace-view.ts";
import { useIsNarrow } from "#ui/use-is-narrow.ts";
import type { CursorPosition } from "../editor/code-editor.tsx";
import { EditorArea } from "../editor/editor-area.tsx";
import { Explorer } from "../files/explorer.tsx";
import { PortsView } from "../preview/ports-view.tsx";
import { PreviewPane } from "../preview/preview-pane.tsx";
import { usePreviewUrl } from "../preview/use-preview-url.ts";
import { TimelineView } from "../timeline/timeline-view.tsx";
import { useModelState } from "../use-model-state.ts";
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

/** Side bar, editor over terminal, preview beside each other; where there is no room for that, the one last asked for. */
export function Panes(props: PanesProps) {
  const { state, workspace } = props;
  const { side, preview } = state;
  const isNarrow = useIsNarrow();
  const sideView = side ? <SideView {...props} side={side} /> : null;
  const centre = <Centre {...props} workspaceId={workspace.id} />;
  const previewPane = preview ? <Preview {...props} target={preview} /> : null;
  useLastAskedInFront(isNarrow, state);
  if (isNarrow) return <div className="min-w-0 flex-1">{sideView ?? previewPane ?? centre}</div>;
  return <Columns workspaceId={workspace.id} side={sideView} centre={centre} preview={previewPane} />;
}

/** A file or preview that is opened is what the person wants to see. */
function useLastAskedInFront(isNarrow: boolean, { preview, set }: WorkbenchState): void {
  const { editor } = useModels();
  const { active } = useModelState(editor.state);
  useEffect(() => {
    if (isNarrow && preview) set({ side: undefined });
  }, [isNarrow, preview, set]);
  useEffect(() => {
    if (isNarrow && active) set({ side: undefined, preview: undefined });
  }, [isNarrow, active, set]);
}

interface ColumnsProps {
  workspaceId: string;
  side: ReactNode;
  centre: ReactNode;
  preview: ReactNode;
}

/** Sizes are remembered for each workspace. */
function Columns({ workspaceId, side, centre, preview }: ColumnsProps) {
  const panelIds = [...(side ? ["side"] : []), "centre", ...(preview ? ["preview"] : [])];
  const layout = useDefaultLayout({ id: `atoll.columns.${workspaceId}`, panelIds, storage: localStorage });
  return (
    <Group
      orientation="horizontal"
      className="min-w-0 flex-1"
      {...(layout.defaultLayout ? { defaultLayout: layout.defaultLayout } : {})}
      onLayoutChanged={layout.onLayoutChanged}
    >
      {side ? (
        <>
          <Panel id="side" defaultSize={260} minSize={160}>
            {side}
          </Panel>
          <Bar label="Resize side bar" isVertical />
        </>
      ) : null}
      <Panel id="centre" minSize={240}>
        {centre}
      </Panel>
      {preview ? (
        <>
          <Bar label="Resize preview" isVertical />
          <Panel id="preview" defaultSize="38%" minSize={240}>
            {preview}
          </Panel>
        </>
      ) : null}
    </Group>
  );
}

function SideView({ workspace, state, side }: PanesProps & { side: NonNullable<WorkbenchState["side"]> }) {
  const { openInTab } = usePreviewUrl(workspace.id);
  switch (side) {
    case "explorer":
      return <Explorer />;
    case "ports":
      return (
        <PortsView
          onPreview={(port) => state.set({ preview: { port, path: "/" } })}
          onOpenInTab={(port) => openInTab(port)}
        />
      );
    case "timeline":
      return <TimelineView workspace={workspace} state={state} />;
  }
}

function Preview({
  workspace,
  previewHost,
  state,
  target,
}: PanesProps & { target: NonNullable<WorkbenchState["preview"]> }) {
  return (
    <PreviewPane
      workspaceId={workspace.id}
      hostSuffix={`${workspace.slug}.${previewHost}`}
      target={target}
      onNavigate={(next) => state.set({ preview: next })}
      onClose={() => state.set({ preview: undefined })}
    />
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
