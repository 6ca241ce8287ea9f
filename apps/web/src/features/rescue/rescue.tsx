"use client";
import { Archive, GitBranch, HardDrive } from "lucide-react";
import Link from "next/link";
import { useRouter } from "next/navigation";
import { useState } from "react";
import { Group, Panel, Separator } from "react-resizable-panels";
import type { WorkspaceView } from "#server/domain/workspace/workspace-view.ts";
import { BarHome } from "#ui/bar-home.tsx";
import { Button } from "#ui/button.tsx";
import { ThemeMenu } from "#ui/theme-menu.tsx";
import { useLiveWorkspace } from "../dashboard/use-workspaces.ts";
import { DownloadBar } from "../downloads/download-bar.tsx";
import { DiskUsageDialog } from "../files/disk-usage.tsx";
import type { TreeRow } from "../files/file-tree-model.ts";
import { FileTreeView } from "../files/file-tree-view.tsx";
import { baseName, parentPath } from "../files/guest-path.ts";
import { TreeMenuItem } from "../files/tree-row-view.tsx";
import { useModelState } from "../use-model-state.ts";
import { FilePreview } from "./file-preview.tsx";
import { GitPushDialog } from "./git-push-dialog.tsx";
import { RescueFrame } from "./rescue-frame.tsx";
import type { RescueModels } from "./rescue-models.ts";
import { RestorePathDialog } from "./restore-path-dialog.tsx";
import { StateChooser } from "./state-chooser.tsx";
import { type RescueTarget, useRescueModels } from "./use-rescue-models.ts";
import { ViewCurtain } from "./view-curtain.tsx";
import { VIEW_WORKSPACE, workspacePath } from "./view-path.ts";

export interface RescueProps extends Omit<RescueTarget, "workspaceId"> {
  workspace: WorkspaceView;
}

/** The files of a stored state, read-only, without waking the workspace. */
export function Rescue(props: RescueProps) {
  const { workspace, gatewayUrl, checkpointId } = props;
  const models = useRescueModels({ workspaceId: workspace.id, gatewayUrl, checkpointId });
  if (!models) return <RescueFrame name={workspace.name} />;
  return <OpenRescue {...props} models={models} />;
}

type Asked = { what: "restore" | "push"; path: string } | { what: "usage" };

function OpenRescue({ workspace: first, checkpointId, models }: RescueProps & { models: RescueModels }) {
  const router = useRouter();
  const { connection, files, trees, preview, downloads, push } = models;
  const { phase, isRepaired } = useModelState(connection.state);
  const workspace = useLiveWorkspace(first);
  const [isWholeDisk, setWholeDisk] = useState(false);
  const [asked, setAsked] = useState<Asked>();
  const tree = isWholeDisk ? trees.disk : trees.workspace;
  const { selected, rows } = useModelState(tree.state);
  const { path: shown } = useModelState(preview.state);
  const isRunning = workspace.state === "running";
  const isReady = phase.name === "connected";
  const zip = (path: string) => {
    const name = path === tree.root ? (isWholeDisk ? "disk" : "workspace") : baseName(path);
    void downloads.zip(path, `${workspace.slug}-${name}.zip`);
  };
  const close = () => setAsked(undefined);
  const canRestore = checkpointId !== null;
  const selectedRow = rows.find(({ path }) => path === selected);
  const folder = selectedRow
    ? selectedRow.isFolder
      ? selectedRow.path
      : parentPath(selectedRow.path)
    : tree.root;
  const menuFor = ({ path, isFolder }: TreeRow) => (
    <>
      {isFolder ? (
        <>
          <TreeMenuItem onSelect={() => zip(path)}>Download as zip</TreeMenuItem>
          <TreeMenuItem onSelect={() => setAsked({ what: "push", path })}>Push to a git remote…</TreeMenuItem>
        </>
      ) : (
        <>
          <TreeMenuItem onSelect={() => void preview.open(path)}>Open</TreeMenuItem>
          <TreeMenuItem onSelect={() => void downloads.file(path)}>Download</TreeMenuItem>
        </>
      )}
      {canRestore ? (
        <TreeMenuItem onSelect={() => setAsked({ what: "restore", path })}>
          Restore into the workspace…
        </TreeMenuItem>
      ) : null}
    </>
  );
  return (
    <div className="flex h-dvh flex-col overflow-hidden">
      <header className="flex min-h-11 shrink-0 flex-wrap items-center gap-2 border-line border-b bg-canvas px-2 py-1">
        <BarHome />
        <h1 className="truncate font-semibold text-sm">
          <span className="sr-only">Files of </span>
          {workspace.name}
        </h1>
        <StateChooser
          workspaceId={workspace.id}
          checkpointId={checkpointId}
          onChoose={(id) =>
            router.push(`/w/${workspace.slug}/files${id === null ? "" : `?checkpoint=${id}`}`)
          }
        />
        <div className="flex-1" />
        <Button asChild size="sm">
          <Link href={`/w/${workspace.slug}`}>{isRunning ? "Open workspace" : "Resume workspace"}</Link>
        </Button>
        <ThemeMenu />
      </header>
      <p
        role="note"
        aria-label="Read-only view"
        className="flex min-h-9 shrink-0 items-center gap-2 border-line border-b bg-info-soft px-4 py-1 text-sm"
      >
        <Archive aria-hidden className="size-4 shrink-0 text-info" />
        <span>
          <span className="font-medium">
            {checkpointId === null ? "The disk as it lies there" : "A checkpoint"}, read-only.
          </span>{" "}
          Nothing you do here starts, wakes or changes the workspace.
          {isRepaired ? " The disk was damaged: what could be repaired is shown." : ""}
        </span>
      </p>
      <main className="relative flex min-h-0 flex-1">
        <Group orientation="horizontal" className="min-w-0 flex-1">
          <Panel id="tree" defaultSize={320} minSize={200}>
            <section aria-label="Stored files" className="flex h-full flex-col bg-canvas">
              <div className="flex shrink-0 flex-wrap items-center gap-1 px-3 py-1.5">
                <select
                  aria-label="Where to look"
                  value={isWholeDisk ? "disk" : "workspace"}
                  onChange={(event) => setWholeDisk(event.target.value === "disk")}
                  className="h-7 flex-1 rounded-md border border-line-strong bg-surface px-2 text-xs"
                >
                  <option value="workspace">Your files (/workspace)</option>
                  <option value="disk">Whole disk (/)</option>
                </select>
              </div>
              <FileTreeView
                key={tree.root}
                tree={tree}
                onOpen={(path) => void preview.open(path)}
                menuFor={menuFor}
                emptyText="There is nothing in this folder."
              />
              <DownloadBar list={downloads} />
              <div className="grid shrink-0 gap-1.5 border-line border-t p-3">
                <Button size="sm" disabled={!isReady} onClick={() => zip(folder)}>
                  <Archive aria-hidden className="size-3.5!" /> Download {shownFolder(folder)} as zip
                </Button>
                <Button
                  size="sm"
                  disabled={!isReady}
                  onClick={() => setAsked({ what: "push", path: folder })}
                >
                  <GitBranch aria-hidden className="size-3.5!" /> Push to a git remote…
                </Button>
                <Button size="sm" disabled={!isReady} onClick={() => setAsked({ what: "usage" })}>
                  <HardDrive aria-hidden className="size-3.5!" /> What is big
                </Button>
              </div>
            </section>
          </Panel>
          <Separator
            aria-label="Resize file list"
            className="relative z-10 w-px shrink-0 bg-line outline-none after:absolute after:-inset-x-1 after:inset-y-0 hover:bg-accent focus-visible:bg-accent"
          />
          <Panel id="preview" minSize={240}>
            <FilePreview
              model={preview}
              onDownload={(path) => void downloads.file(path)}
              onRestore={canRestore ? (path) => setAsked({ what: "restore", path }) : undefined}
            />
          </Panel>
        </Group>
        <ViewCurtain connection={connection} workspace={workspace} checkpointId={checkpointId} />
      </main>
      <RestorePathDialog
        workspaceId={workspace.id}
        checkpointId={checkpointId}
        path={asked?.what === "restore" ? asked.path : undefined}
        isRunning={isRunning}
        onClose={close}
      />
      <GitPushDialog
        model={push}
        folder={asked?.what === "push" ? asked.path : undefined}
        egress={workspace.egress}
        onClose={close}
      />
      <DiskUsageDialog
        open={asked?.what === "usage"}
        onClose={close}
        files={files}
        root={tree.root}
        shownPath={workspacePath}
      />
      <p aria-live="polite" className="sr-only">
        {shown ? `Showing ${workspacePath(shown)}` : ""}
      </p>
    </div>
  );
}

function shownFolder(path: string): string {
  return path === VIEW_WORKSPACE ? "everything" : workspacePath(path);
}
