"use client";
import { useMutation } from "@tanstack/react-query";
import {
  Archive,
  Cable,
  FilePlus,
  Files,
  FolderPlus,
  HardDrive,
  History,
  LayoutGrid,
  Network,
  Pause,
  RotateCcw,
  Save,
  Square,
  SquareTerminal,
  Trash2,
  X,
} from "lucide-react";
import { useRouter } from "next/navigation";
import { useTheme } from "next-themes";
import type { WorkspaceView } from "#server/domain/workspace/workspace-view.ts";
import { useTRPC } from "#trpc/client.tsx";
import type { CommandItem } from "#ui/command-list.tsx";
import { THEMES } from "#ui/theme-menu.tsx";
import { toastFailure } from "#ui/toaster.tsx";
import { EGRESS_PRESETS, EGRESS_WORDS } from "../dashboard/egress-words.ts";
import { useModelState } from "../use-model-state.ts";
import { useModels } from "./models-context.tsx";
import type { WorkbenchState } from "./workbench-state.ts";

export interface CommandsOptions {
  workspace: WorkspaceView;
  state: WorkbenchState;
  onDelete: () => void;
  onDiskUsage: () => void;
}

/** Every command of the workbench; palette, menus and keys run these and nothing else. */
export function useCommands({ workspace, state, onDelete, onDiskUsage }: CommandsOptions): CommandItem[] {
  const trpc = useTRPC();
  const router = useRouter();
  const { setTheme } = useTheme();
  const { tree, editor, terminals, connection, ports, downloads } = useModels();
  const { ports: listening } = useModelState(ports.state);
  const { active } = useModelState(editor.state);
  const options = { onError: toastFailure };
  const pause = useMutation(trpc.workspace.pause.mutationOptions(options));
  const stop = useMutation(trpc.workspace.stop.mutationOptions(options));
  const setEgress = useMutation(trpc.workspace.setEgress.mutationOptions(options));
  const { id } = workspace;
  const begin = (kind: "file" | "directory") => {
    state.set({ side: "explorer" });
    tree.beginEdit({ kind, path: tree.targetFolder() });
  };
  const newTerminal = () => {
    state.set({ isPanelOpen: true });
    terminals.open().catch(toastFailure);
  };
  // Memory is sealed as it is: what is unsaved should be on disk before.
  const saveThen = (act: () => void) => void editor.saveAll().finally(act);
  return [
    { id: "file.new", title: "New file", group: "File", icon: <FilePlus />, run: () => begin("file") },
    {
      id: "file.new-folder",
      title: "New folder",
      group: "File",
      icon: <FolderPlus />,
      run: () => begin("directory"),
    },
    {
      id: "file.save",
      title: "Save all",
      group: "File",
      icon: <Save />,
      keys: "Ctrl S",
      run: () => void editor.saveAll(),
    },
    ...(active
      ? [
          {
            id: "file.close",
            title: "Close file",
            group: "File",
            icon: <X />,
            keys: "Alt W",
            run: () => void editor.close(active),
          },
        ]
      : []),
    {
      id: "terminal.new",
      title: "New terminal",
      group: "Terminal",
      icon: <SquareTerminal />,
      keys: "Ctrl Shift `",
      run: newTerminal,
    },
    {
      id: "view.terminal",
      title: state.isPanelOpen ? "Hide terminal panel" : "Show terminal panel",
      group: "View",
      icon: <SquareTerminal />,
      keys: "Ctrl J",
      run: () => state.set({ isPanelOpen: !state.isPanelOpen }),
    },
    {
      id: "view.side",
      title: state.side ? "Hide side bar" : "Show side bar",
      group: "View",
      icon: <Files />,
      keys: "Ctrl B",
      run: () => state.set({ side: state.side ? undefined : "explorer" }),
    },
    {
      id: "view.explorer",
      title: "Show explorer",
      group: "View",
      icon: <Files />,
      run: () => state.set({ side: "explorer" }),
    },
    {
      id: "view.ports",
      title: "Show ports",
      group: "View",
      icon: <Cable />,
      run: () => state.set({ side: "ports" }),
    },
    {
      id: "view.timeline",
      title: "Show timeline",
      group: "View",
      icon: <History />,
      run: () => state.set({ side: "timeline" }),
    },
    ...listening.map(({ port }) => ({
      id: `preview.${port}`,
      title: `Preview port ${port}`,
      group: "Preview",
      icon: <Cable />,
      run: () => state.set({ preview: { port, path: "/" } }),
    })),
    {
      id: "disk.usage",
      title: "What is big on the disk…",
      group: "Workspace",
      icon: <HardDrive />,
      run: onDiskUsage,
    },
    {
      id: "disk.download",
      title: "Download all files as zip",
      group: "File",
      icon: <Archive />,
      run: () => {
        state.set({ side: "explorer" });
        void downloads.zip(tree.root, `${workspace.slug}-workspace.zip`);
      },
    },
    {
      id: "connection.now",
      title: "Reconnect now",
      group: "Workspace",
      icon: <RotateCcw />,
      run: () => connection.reconnectNow(),
    },
    {
      id: "workspace.pause",
      title: "Pause workspace",
      group: "Workspace",
      icon: <Pause />,
      run: () => saveThen(() => pause.mutate({ id })),
    },
    {
      id: "workspace.stop",
      title: "Stop workspace",
      group: "Workspace",
      icon: <Square />,
      run: () => saveThen(() => stop.mutate({ id })),
    },
    ...EGRESS_PRESETS.map((egress) => ({
      id: `network.${egress}`,
      title: `Network: ${EGRESS_WORDS[egress].label}`,
      group: "Workspace",
      icon: <Network />,
      run: () => setEgress.mutate({ id, egress }),
    })),
    {
      id: "workspace.delete",
      title: "Delete workspace…",
      group: "Workspace",
      icon: <Trash2 />,
      run: onDelete,
    },
    {
      id: "go.home",
      title: "All workspaces",
      group: "Go to",
      icon: <LayoutGrid />,
      run: () => router.push("/"),
    },
    ...THEMES.map(({ value, label, Icon }) => ({
      id: `theme.${value}`,
      title: `Theme: ${label}`,
      group: "Appearance",
      icon: <Icon />,
      run: () => setTheme(value),
    })),
  ];
}
