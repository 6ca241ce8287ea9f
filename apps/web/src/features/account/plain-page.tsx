import type { ReactNode } from "react";
import { HomeLogo } from "#ui/home-logo.tsx";

/** A page for anybody, signed in or not: logo, heading, text. */
export function PlainPage({
  title,
  lead,
  children,
}: {
  title: string;
  lead: ReactNode;
  children: ReactNode;
}) {
  return (
    <div className="min-h-dvh">
      <header className="mx-auto max-w-2xl px-6 py-6">
        <HomeLogo />
      </header>
      <main className="mx-auto max-w-2xl px-6 pt-8 pb-20">
        <h1 className="font-semibold text-2xl tracking-tight">{title}</h1>
        <p className="mt-2 max-w-lg text-ink-soft">{lead}</p>
        {children}
      </main>
    </div>
  );
}
