"use client";
import { ThemeProvider } from "next-themes";
import type { ReactNode } from "react";
import { TrpcProvider } from "#trpc/client.tsx";
import { Toaster } from "./toaster.tsx";
import { TooltipProvider } from "./tooltip.tsx";

export function Providers({ children, nonce }: { children: ReactNode; nonce: string | undefined }) {
  return (
    <ThemeProvider
      attribute="data-theme"
      defaultTheme="system"
      enableSystem
      disableTransitionOnChange
      {...(nonce ? { nonce } : {})}
    >
      <TrpcProvider>
        <TooltipProvider>{children}</TooltipProvider>
        <Toaster />
      </TrpcProvider>
    </ThemeProvider>
  );
}
