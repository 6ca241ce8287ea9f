import Link from "next/link";
import type { ReactNode } from "react";
import { Logo } from "#ui/logo.tsx";

export interface AuthPageProps {
  title: string;
  lead: string;
  children: ReactNode;
  footer: ReactNode;
}

/** The frame around signing in and signing up. */
export function AuthPage({ title, lead, children, footer }: AuthPageProps) {
  return (
    <div className="flex min-h-dvh flex-col">
      <header className="p-6">
        <Link href="/" aria-label="Atoll, home" className="inline-flex rounded-md">
          <Logo />
        </Link>
      </header>
      <main className="mx-auto flex w-full max-w-sm flex-1 flex-col justify-center px-6 pb-32">
        <h1 className="font-semibold text-2xl tracking-tight">{title}</h1>
        <p className="mt-1.5 mb-7 text-ink-soft">{lead}</p>
        {children}
        <p className="mt-6 text-ink-soft text-sm">{footer}</p>
      </main>
    </div>
  );
}
