"use client";
import { ChevronsDownUp, FilePlus, FolderPlus, RefreshCw } from "lucide-react";
import { useState } from "react";
import { toast } from "sonner";
import { Button } from "#ui/button.tsx";
import { Dialog, DialogActions } from "#ui/dialog.tsx";
import { toastFailure } from "#ui/toaster.tsx";
import { Tooltip } from "#ui/tooltip.tsx";
import { useModels } from "../workbench/models-context.tsx";
import { SidePane } from "../workbench/side-pane.tsx";
import type { TreeRow } from "./file-tree-model.ts";
import { FileTreeView } from "./file-tree-view.tsx";

export function Explorer() {
  const { tree, editor } = useModels();
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
  const remove = (row: TreeRow) => {
    setDoomed(undefined);
    tree.delete(row.path).then(() => editor.forget(row.path), toastFailure);
  };
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
        onDelete={setDoomed}
        onCopyPath={(path) =>
          navigator.clipboard
            .writeText(path)
            .then(() => toast("Path copied", { description: path }), toastFailure)
        }
      />
      <Dialog
        open={doomed !== undefined}
        onOpenChange={(open) => !open && setDoomed(undefined)}
        title={`Delete ${doomed?.name ?? ""}?`}
        description={
          doomed?.isFolder
            ? "The folder goes with everything in it. There is no bin in the machine."
            : "There is no bin in the machine; this cannot be undone."
        }
      >
        <DialogActions>
          <Button onClick={() => setDoomed(undefined)}>Cancel</Button>
          <Button tone="dangerSolid" onClick={() => doomed && remove(doomed)}>
            Delete
          </Button>
        </DialogActions>
      </Dialog>
    </SidePane>
  );
}
