"use client";
import { X } from "lucide-react";
import { Dialog as Primitive } from "radix-ui";
import type { ReactNode } from "react";
import { Button } from "./button.tsx";
import { classNames } from "./class-names.ts";

export interface DialogProps {
  open: boolean;
  onOpenChange: (open: boolean) => void;
  title: string;
  description?: ReactNode;
  children: ReactNode;
  className?: string;
}

export function Dialog({ open, onOpenChange, title, description, children, className }: DialogProps) {
  return (
    <Primitive.Root open={open} onOpenChange={onOpenChange}>
      <Primitive.Portal>
        <Primitive.Overlay className="fixed inset-0 z-40 animate-fade bg-overlay" />
        <Primitive.Content
          {...(description ? {} : { "aria-describedby": undefined })}
          className={classNames(
            "-translate-x-1/2 fixed top-[max(1rem,8vh)] left-1/2 z-50 grid max-h-[calc(100dvh-max(2rem,12vh))] w-[calc(100vw-2rem)] max-w-md animate-rise gap-5 overflow-y-auto rounded-xl border border-line bg-raised p-6 shadow-high",
            className,
          )}
        >
          <div className="grid gap-1 pr-8">
            <Primitive.Title className="font-semibold text-lg leading-6">{title}</Primitive.Title>
            {description ? (
              <Primitive.Description className="text-ink-soft text-sm">{description}</Primitive.Description>
            ) : null}
          </div>
          {children}
          <Primitive.Close asChild>
            <Button tone="ghost" size="icon" aria-label="Close" className="absolute top-4 right-4">
              <X aria-hidden />
            </Button>
          </Primitive.Close>
        </Primitive.Content>
      </Primitive.Portal>
    </Primitive.Root>
  );
}

/** Stays in sight while what is above it scrolls. */
export function DialogActions({ children }: { children: ReactNode }) {
  return (
    <div className="-bottom-6 -mx-6 -mb-6 sticky flex flex-wrap items-center justify-end gap-2 bg-raised px-6 pt-1 pb-6">
      {children}
    </div>
  );
}
