"use client";
import { LogOut, Search, Settings } from "lucide-react";
import Link from "next/link";
import { useRouter } from "next/navigation";
import { signOutAction } from "#server/auth/actions.ts";
import { Button } from "#ui/button.tsx";
import { Kbd } from "#ui/kbd.tsx";
import { Logo } from "#ui/logo.tsx";
import { Menu, MenuItem, MenuLabel, MenuSeparator } from "#ui/menu.tsx";
import { ThemeMenu } from "#ui/theme-menu.tsx";
import { usePalette } from "./palette.tsx";

export function AppHeader({ user }: { user: { name: string; email: string } }) {
  const router = useRouter();
  const palette = usePalette();
  return (
    <header className="border-line border-b bg-surface">
      <div className="mx-auto flex h-14 max-w-5xl items-center gap-2 px-6">
        <Link href="/" aria-label="Atoll, your workspaces" className="rounded-md">
          <Logo />
        </Link>
        <div className="flex-1" />
        <Button onClick={palette.open} aria-label="Search commands" className="text-ink-faint max-sm:hidden">
          <Search aria-hidden /> Search <Kbd>Ctrl K</Kbd>
        </Button>
        <ThemeMenu />
        <Menu
          trigger={
            <Button tone="ghost" size="icon" aria-label="Account" className="rounded-full">
              <span
                aria-hidden
                className="grid size-6.5 place-items-center rounded-full bg-accent-soft font-semibold text-accent-ink text-xs uppercase"
              >
                {[...user.name][0] ?? "?"}
              </span>
            </Button>
          }
        >
          <MenuLabel>{user.email}</MenuLabel>
          <MenuItem onSelect={() => router.push("/settings")}>
            <Settings aria-hidden /> Settings
          </MenuItem>
          <MenuSeparator />
          <MenuItem onSelect={() => void signOutAction()}>
            <LogOut aria-hidden /> Sign out
          </MenuItem>
        </Menu>
      </div>
    </header>
  );
}
