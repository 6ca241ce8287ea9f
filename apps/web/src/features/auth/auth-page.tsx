import type { ReactNode } from "react";
import { PageFrame } from "#ui/page-frame.tsx";

export interface AuthPageProps {
  title: string;
  lead: string;
  children: ReactNode;
  footer: ReactNode;
}

/** The frame around signing in and signing up. */
export function AuthPage({ title, lead, children, footer }: AuthPageProps) {
  return (
    <PageFrame className="max-w-sm">
      <h1 className="font-semibold text-2xl tracking-tight">{title}</h1>
      <p className="mt-1.5 mb-7 text-ink-soft">{lead}</p>
      {children}
      <p className="mt-6 text-ink-soft text-sm">{footer}</p>
    </PageFrame>
  );
}
