"use client";
import { Command, Ellipsis } from "lucide-react";
import { BarHome } from "#ui/bar-home.tsx";
import { Button } from "#ui/button.tsx";
import type { CommandItem } from "#ui/command-list.tsx";
import { Kbd } from "#ui/kbd.tsx";
import { Menu, MenuItem, MenuSeparator } from "#ui/menu.tsx";
import { ThemeMenu } from "#ui/theme-menu.tsx";

export interface TopBarProps {
  name: string;
  onPalette: () => void;
  /** Commands about the workspace itself. */
  commands: CommandItem[];
}

export function TopBar({ name, onPalette, commands }: TopBarProps) {
  return (
    <header className="flex h-11 shrink-0 items-center gap-2 border-line border-b bg-canvas px-2">
      <BarHome />
      <h1 className="truncate font-semibold text-sm">{name}</h1>
      <div className="flex-1" />
      <Button size="sm" onClick={onPalette} aria-label="Command palette" className="text-ink-faint">
        <Command aria-hidden className="size-3.5!" />
        <span className="max-sm:hidden">
          Commands <Kbd>F1</Kbd>
        </span>
      </Button>
      <ThemeMenu />
      <Menu
        trigger={
          <Button tone="ghost" size="icon" aria-label="Workspace actions">
            <Ellipsis aria-hidden />
          </Button>
        }
      >
        {commands.map((command, index) => (
          <div key={command.id}>
            {command.id === "workspace.delete" && index > 0 ? <MenuSeparator /> : null}
            <MenuItem isDanger={command.id === "workspace.delete"} onSelect={command.run}>
              {command.icon}
              {command.title}
            </MenuItem>
          </div>
        ))}
      </Menu>
    </header>
  );
}
