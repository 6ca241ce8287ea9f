"use client";
import { useTheme } from "next-themes";
import { Toaster as Sonner, toast } from "sonner";
import { toFailure } from "./failure.ts";

export function Toaster() {
  const { resolvedTheme } = useTheme();
  return (
    <Sonner
      theme={resolvedTheme === "dark" ? "dark" : "light"}
      position="bottom-right"
      offset={40}
      toastOptions={{
        classNames: {
          toast: "!rounded-lg !border-line !bg-raised !text-ink !shadow-high !font-sans !text-sm",
          description: "!text-ink-soft",
          actionButton:
            "!h-7 !rounded-md !bg-accent !px-2.5 !font-medium !text-on-accent hover:!bg-accent-strong",
        },
      }}
    />
  );
}

export function toastFailure(error: unknown): void {
  const failure = toFailure(error);
  toast.error(failure.what, { description: `${failure.why} ${failure.now} (${failure.code})` });
}
