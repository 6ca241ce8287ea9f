"use client";
import { LayoutGrid, LogOut, Plus, Settings, SquareTerminal } from "lucide-react";
import { useRouter } from "next/navigation";
import { useTheme } from "next-themes";
import { createContext, type ReactNode, use, useEffect, useMemo, useState } from "react";
import { signOutAction } from "#server/auth/actions.ts";
import { type CommandItem, CommandList } from "#ui/command-list.tsx";
import { THEMES } from "#ui/theme-menu.tsx";
import { STATE_WORDS } from "./state-words.ts";
import { useWorkspaceList } from "./use-workspaces.ts";

const PaletteContext = createContext<{ open: () => void }>({ open: () => {} });
export const usePalette = () => use(PaletteContext);

export interface PaletteProviderProps {
  children: ReactNode;
  /** Absent on pages without the dialog. */
  onNewWorkspace?: (() => void) | undefined;
}

/** Ctrl/Cmd+K on every signed-in page. */
export function PaletteProvider({ children, onNewWorkspace }: PaletteProviderProps) {
  const [isOpen, setOpen] = useState(false);
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey) || event.shiftKey) return;
      event.preventDefault();
      setOpen((current) => !current);
    };
    addEventListener("keydown", onKeyDown);
    return () => removeEventListener("keydown", onKeyDown);
  }, []);
  const value = useMemo(() => ({ open: () => setOpen(true) }), []);
  return (
    <PaletteContext value={value}>
      {children}
      {isOpen ? <Palette onOpenChange={setOpen} onNewWorkspace={onNewWorkspace} /> : null}
    </PaletteContext>
  );
}

function Palette(props: { onOpenChange: (open: boolean) => void; onNewWorkspace: (() => void) | undefined }) {
  const router = useRouter();
  const { setTheme } = useTheme();
  const { data } = useWorkspaceList();
  const { onNewWorkspace } = props;
  const items: CommandItem[] = [
    ...(onNewWorkspace
      ? [
          {
            id: "new",
            title: "New workspace",
            group: "Actions",
            icon: <Plus />,
            keys: "N",
            run: onNewWorkspace,
          },
        ]
      : []),
    ...(data?.workspaces ?? []).map((workspace) => ({
      id: workspace.slug,
      title: `${STATE_WORDS[workspace.state].action} ${workspace.name}`,
      group: "Workspaces",
      icon: <SquareTerminal />,
      run: () => router.push(`/w/${workspace.slug}`),
    })),
    {
      id: "home",
      title: "All workspaces",
      group: "Go to",
      icon: <LayoutGrid />,
      run: () => router.push("/"),
    },
    {
      id: "settings",
      title: "Settings",
      group: "Go to",
      icon: <Settings />,
      run: () => router.push("/settings"),
    },
    ...THEMES.map(({ value, label, Icon }) => ({
      id: `theme-${value}`,
      title: `Theme: ${label}`,
      group: "Appearance",
      icon: <Icon />,
      run: () => setTheme(value),
    })),
    { id: "signout", title: "Sign out", group: "Account", icon: <LogOut />, run: () => void signOutAction() },
  ];
  return (
    <CommandList
      open
      onOpenChange={props.onOpenChange}
      items={items}
      label="Commands"
      placeholder="Type a command…"
    />
  );
}
