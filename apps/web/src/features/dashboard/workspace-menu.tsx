"use client";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Check, Ellipsis, Network, Pause, Pencil, Square, Trash2 } from "lucide-react";
import { useState } from "react";
import type { WorkspaceView } from "#server/domain/workspace/workspace-view.ts";
import { useTRPC } from "#trpc/client.tsx";
import { Button } from "#ui/button.tsx";
import { Menu, MenuItem, MenuLabel, MenuSeparator } from "#ui/menu.tsx";
import { toastFailure } from "#ui/toaster.tsx";
import { DeleteWorkspaceDialog } from "./delete-workspace-dialog.tsx";
import { EGRESS_PRESETS, EGRESS_WORDS } from "./egress-words.ts";
import { RenameWorkspaceDialog } from "./rename-workspace-dialog.tsx";

export function WorkspaceMenu({ workspace }: { workspace: WorkspaceView }) {
  const trpc = useTRPC();
  const queryClient = useQueryClient();
  const [dialog, setDialog] = useState<"rename" | "delete">();
  const options = {
    onError: toastFailure,
    onSettled: () => queryClient.invalidateQueries(trpc.workspace.list.queryFilter()),
  };
  const pause = useMutation(trpc.workspace.pause.mutationOptions(options));
  const stop = useMutation(trpc.workspace.stop.mutationOptions(options));
  const setEgress = useMutation(trpc.workspace.setEgress.mutationOptions(options));
  const { id, state, egress, name } = workspace;
  const close = () => setDialog(undefined);
  return (
    <>
      <Menu
        trigger={
          <Button tone="ghost" size="icon" aria-label={`Actions for ${name}`}>
            <Ellipsis aria-hidden />
          </Button>
        }
      >
        <MenuItem onSelect={() => setDialog("rename")}>
          <Pencil aria-hidden /> Rename…
        </MenuItem>
        <MenuItem disabled={state !== "running"} onSelect={() => pause.mutate({ id })}>
          <Pause aria-hidden /> Pause
        </MenuItem>
        <MenuItem disabled={state !== "running" && state !== "paused"} onSelect={() => stop.mutate({ id })}>
          <Square aria-hidden /> Stop
        </MenuItem>
        <MenuSeparator />
        <MenuLabel>Network</MenuLabel>
        {EGRESS_PRESETS.map((preset) => (
          <MenuItem
            key={preset}
            role="menuitemradio"
            aria-checked={preset === egress}
            onSelect={() => setEgress.mutate({ id, egress: preset })}
          >
            {preset === egress ? <Check aria-hidden /> : <Network aria-hidden className="opacity-0" />}
            {EGRESS_WORDS[preset].label}
          </MenuItem>
        ))}
        <MenuSeparator />
        <MenuItem isDanger onSelect={() => setDialog("delete")}>
          <Trash2 aria-hidden /> Delete…
        </MenuItem>
      </Menu>
      <RenameWorkspaceDialog open={dialog === "rename"} onClose={close} workspace={workspace} />
      <DeleteWorkspaceDialog open={dialog === "delete"} onClose={close} workspace={workspace} />
    </>
  );
}
