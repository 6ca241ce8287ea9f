import Link from "next/link";
import type { ReactNode } from "react";
import { PageFrame } from "#ui/page-frame.tsx";

export interface AuthPageProps {
  title: string;
  lead: string;
  children: ReactNode;
  /** To the other one of signing in and signing up. */
  other: { question: string; label: string; href: string };
}

/** The frame around signing in and signing up. */
export function AuthPage({ title, lead, children, other }: AuthPageProps) {
  return (
    <PageFrame kind="form" title={title} lead={lead}>
      <div className="mt-7">{children}</div>
      <p className="mt-6 text-ink-soft text-sm">
        {other.question}{" "}
        <Link href={other.href} className="font-medium text-accent-ink underline-offset-4 hover:underline">
          {other.label}
        </Link>
      </p>
    </PageFrame>
  );
}
