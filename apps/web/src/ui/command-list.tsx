"use client";
import { Command } from "cmdk";
import { Dialog } from "radix-ui";
import type { ReactNode } from "react";
import { Kbd } from "./kbd.tsx";

export interface CommandItem {
  id: string;
  title: string;
  group: string;
  icon?: ReactNode;
  /** Shown, not bound: whoever owns the command binds it. */
  keys?: string | undefined;
  run: () => void;
}

export interface CommandListProps {
  open: boolean;
  onOpenChange: (open: boolean) => void;
  items: CommandItem[];
  placeholder: string;
  label: string;
}

/** The palette's look and keyboard: type to filter, arrows to move, Enter to run. */
export function CommandList({ open, onOpenChange, items, placeholder, label }: CommandListProps) {
  const groups = [...new Set(items.map((item) => item.group))];
  return (
    <Dialog.Root open={open} onOpenChange={onOpenChange}>
      <Dialog.Portal>
        <Dialog.Overlay className="fixed inset-0 z-40 animate-fade bg-overlay" />
        <Dialog.Content
          aria-describedby={undefined}
          className="-translate-x-1/2 fixed top-[12vh] left-1/2 z-50 w-[calc(100vw-2rem)] max-w-xl animate-rise overflow-hidden rounded-xl border border-line bg-raised shadow-high"
        >
          <Dialog.Title className="sr-only">{label}</Dialog.Title>
          <Command label={label} loop>
            <Command.Input
              placeholder={placeholder}
              className="h-12 w-full border-line border-b bg-transparent px-4 text-base outline-none"
            />
            <Command.List className="max-h-[50vh] overflow-y-auto p-1.5">
              <Command.Empty className="px-3 py-8 text-center text-ink-faint text-sm">
                Nothing has that name.
              </Command.Empty>
              {groups.map((group) => (
                <Command.Group
                  key={group}
                  heading={group}
                  className="[&_[cmdk-group-heading]]:px-2.5 [&_[cmdk-group-heading]]:pt-2 [&_[cmdk-group-heading]]:pb-1 [&_[cmdk-group-heading]]:text-2xs [&_[cmdk-group-heading]]:text-ink-faint"
                >
                  {items
                    .filter((item) => item.group === group)
                    .map((item) => (
                      <Command.Item
                        key={item.id}
                        value={`${item.title} ${item.id}`}
                        onSelect={() => {
                          onOpenChange(false);
                          item.run();
                        }}
                        className="flex h-9 cursor-default items-center gap-2.5 rounded-md px-2.5 text-sm data-[selected=true]:bg-hover [&_svg]:size-4 [&_svg]:text-ink-faint"
                      >
                        {item.icon}
                        <span className="truncate">{item.title}</span>
                        {item.keys ? (
                          <span className="ml-auto">
                            <Kbd>{item.keys}</Kbd>
                          </span>
                        ) : null}
                      </Command.Item>
                    ))}
                </Command.Group>
              ))}
            </Command.List>
          </Command>
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
