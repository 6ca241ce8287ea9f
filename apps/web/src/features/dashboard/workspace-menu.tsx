"use client";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import {
  Check,
  Copy,
  Ellipsis,
  FolderSearch,
  LayoutTemplate,
  Network,
  Pause,
  Pencil,
  Square,
  Trash2,
} from "lucide-react";
import Link from "next/link";
import { useState } from "react";
import type { WorkspaceView } from "#server/domain/workspace/workspace-view.ts";
import { useTRPC } from "#trpc/client.tsx";
import { Button } from "#ui/button.tsx";
import { Menu, MenuItem, MenuLabel, MenuSeparator } from "#ui/menu.tsx";
import { toastFailure } from "#ui/toaster.tsx";
import { MakeTemplateDialog } from "../templates/make-template-dialog.tsx";
import { DeleteWorkspaceDialog } from "./delete-workspace-dialog.tsx";
import { EGRESS_PRESETS, EGRESS_WORDS } from "./egress-words.ts";
import { ForkDialog } from "./fork-dialog.tsx";
import { RenameWorkspaceDialog } from "./rename-workspace-dialog.tsx";

/** Without a machine its disk can be looked at; of a running one the workbench shows the files. */
const RESCUABLE = new Set<WorkspaceView["state"]>(["paused", "stopped", "archived", "failed"]);
const FORK_WORDS: Partial<Record<WorkspaceView["state"], string>> = {
  running:
    "Continues from this very moment, running programs included. The original stands still for a moment only.",
  paused: "Continues from where it is paused, with what is in its memory.",
};
const CHECKPOINTABLE = new Set<WorkspaceView["state"]>(["running", "paused", "stopped"]);

export function WorkspaceMenu({ workspace }: { workspace: WorkspaceView }) {
  const trpc = useTRPC();
  const queryClient = useQueryClient();
  const [dialog, setDialog] = useState<"rename" | "delete" | "fork" | "template">();
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
        {RESCUABLE.has(state) ? (
          <MenuItem asChild>
            <Link href={`/w/${workspace.slug}/files`}>
              <FolderSearch aria-hidden /> Browse files
            </Link>
          </MenuItem>
        ) : null}
        <MenuItem disabled={state === "unstarted"} onSelect={() => setDialog("fork")}>
          <Copy aria-hidden /> Fork…
        </MenuItem>
        <MenuItem disabled={!CHECKPOINTABLE.has(state)} onSelect={() => setDialog("template")}>
          <LayoutTemplate aria-hidden /> Make template…
        </MenuItem>
        <MenuSeparator />
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
      <ForkDialog
        fork={
          dialog === "fork"
            ? {
                origin: { kind: "workspace", workspaceId: id },
                suggestedName: `${name} (fork)`,
                text: FORK_WORDS[state] ?? "Continues from its disk as it is now.",
              }
            : undefined
        }
        onClose={close}
      />
      <MakeTemplateDialog
        source={dialog === "template" ? { workspaceId: id, name } : undefined}
        onClose={close}
      />
      <DeleteWorkspaceDialog open={dialog === "delete"} onClose={close} workspace={workspace} />
    </>
  );
}
