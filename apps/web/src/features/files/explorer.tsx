"use client";
import { ChevronsDownUp, FilePlus, FolderPlus, RefreshCw } from "lucide-react";
import { useState } from "react";
import { toast } from "sonner";
import { Button } from "#ui/button.tsx";
import { DeleteDialog } from "#ui/delete-dialog.tsx";
import { toastFailure } from "#ui/toaster.tsx";
import { Tooltip } from "#ui/tooltip.tsx";
import { DownloadBar } from "../downloads/download-bar.tsx";
import { useModelState } from "../use-model-state.ts";
import { useModels } from "../workbench/models-context.tsx";
import { SidePane } from "../workbench/side-pane.tsx";
import type { TreeRow } from "./file-tree-model.ts";
import { FileTreeView } from "./file-tree-view.tsx";
import { baseName } from "./guest-path.ts";
import { TreeMenuItem } from "./tree-row-view.tsx";

export function Explorer() {
  const { tree, editor, downloads } = useModels();
  const { active } = useModelState(editor.state);
  const [doomed, setDoomed] = useState<TreeRow>();
  const actions = [
    {
      label: "New file",
      Icon: FilePlus,
      run: () => tree.beginEdit({ kind: "file", path: tree.targetFolder() }),
    },
    {
      label: "New folder",
      Icon: FolderPlus,
      run: () => tree.beginEdit({ kind: "directory", path: tree.targetFolder() }),
    },
    { label: "Refresh files", Icon: RefreshCw, run: () => tree.refresh() },
    { label: "Collapse all folders", Icon: ChevronsDownUp, run: () => tree.collapseAll() },
  ];
  const remove = async () => {
    if (!doomed) return;
    await tree.delete(doomed.path);
    editor.forget(doomed.path);
  };
  const finishEdit = async (name: string) => {
    const { edit } = tree.state.get();
    if (edit?.kind === "rename") await editor.saveWithin(edit.path);
    const path = await tree.finishEdit(name);
    if (path === undefined || !edit) return;
    if (edit.kind === "file") editor.open(path);
    if (edit.kind === "rename") editor.follow(edit.path, path);
  };
  const copyPath = (path: string) =>
    navigator.clipboard.writeText(path).then(() => toast("Path copied", { description: path }), toastFailure);
  const menuFor = ({ path, isFolder, ...row }: TreeRow) => (
    <>
      {isFolder ? (
        <>
          <TreeMenuItem onSelect={() => tree.beginEdit({ kind: "file", path })}>New file…</TreeMenuItem>
          <TreeMenuItem onSelect={() => tree.beginEdit({ kind: "directory", path })}>
            New folder…
          </TreeMenuItem>
          <TreeMenuItem onSelect={() => void downloads.zip(path, `${baseName(path)}.zip`)}>
            Download as zip
          </TreeMenuItem>
        </>
      ) : (
        <>
          <TreeMenuItem onSelect={() => editor.open(path)}>Open</TreeMenuItem>
          <TreeMenuItem onSelect={() => void downloads.file(path)}>Download</TreeMenuItem>
        </>
      )}
      <TreeMenuItem onSelect={() => void copyPath(path)}>Copy path</TreeMenuItem>
      <TreeMenuItem onSelect={() => tree.beginEdit({ kind: "rename", path })}>Rename…</TreeMenuItem>
      <TreeMenuItem isDanger onSelect={() => setDoomed({ path, isFolder, ...row })}>
        Delete…
      </TreeMenuItem>
    </>
  );
  return (
    <SidePane
      title="Explorer"
      actions={actions.map(({ label, Icon, run }) => (
        <Tooltip key={label} content={label}>
          <Button tone="ghost" size="iconSm" aria-label={label} onClick={run}>
            <Icon aria-hidden className="size-3.5!" />
          </Button>
        </Tooltip>
      ))}
    >
      <FileTreeView
        tree={tree}
        onOpen={(path) => editor.open(path)}
        menuFor={menuFor}
        edits={{ finish: finishEdit, remove: setDoomed }}
        activePath={active?.path}
        emptyText="This folder is empty. Make a file, or clone a repository in the terminal."
      />
      <DownloadBar list={downloads} />
      <DeleteDialog
        title={doomed && `Delete ${doomed.name}?`}
        text={
          doomed?.isFolder
            ? "The folder goes with everything in it. There is no bin in the machine."
            : "There is no bin in the machine; this cannot be undone."
        }
        onDelete={remove}
        onClose={() => setDoomed(undefined)}
      />
    </SidePane>
  );
}
