"use client";
import { Check, Monitor, Moon, Sun } from "lucide-react";
import { useTheme } from "next-themes";
import { Button } from "./button.tsx";
import { Menu, MenuItem } from "./menu.tsx";

export const THEMES = [
  { value: "light", label: "Light", Icon: Sun },
  { value: "dark", label: "Dark", Icon: Moon },
  { value: "system", label: "Same as device", Icon: Monitor },
] as const;

export function ThemeMenu({ size = "icon" }: { size?: "icon" | "iconSm" }) {
  const { theme, setTheme } = useTheme();
  return (
    <Menu
      trigger={
        <Button tone="ghost" size={size} aria-label="Theme">
          <Sun aria-hidden className="dark:hidden" />
          <Moon aria-hidden className="hidden dark:block" />
        </Button>
      }
    >
      {THEMES.map(({ value, label, Icon }) => (
        <MenuItem key={value} onSelect={() => setTheme(value)}>
          <Icon aria-hidden />
          {label}
          {theme === value ? <Check aria-label="chosen" className="ml-auto" /> : null}
        </MenuItem>
      ))}
    </Menu>
  );
}
