import type { ReactNode } from "react";
import { classNames } from "./class-names.ts";
import { HomeLogo } from "./home-logo.tsx";

const WIDTHS = { form: "max-w-sm", message: "max-w-md", text: "max-w-2xl" };

export interface PageFrameProps {
  title: string;
  lead: ReactNode;
  /** `text` begins at the top, what is short stands in the middle. */
  kind: keyof typeof WIDTHS;
  children: ReactNode;
}

/** A page for anybody, signed in or not: the logo that leads home in its corner, heading, content. */
export function PageFrame({ title, lead, kind, children }: PageFrameProps) {
  const isText = kind === "text";
  return (
    <div className="flex min-h-dvh flex-col">
      <header className="p-6">
        <HomeLogo />
      </header>
      <main
        className={classNames(
          "mx-auto flex w-full flex-1 flex-col px-6",
          WIDTHS[kind],
          isText ? "pt-6 pb-20 sm:pt-10" : "justify-center pb-32",
        )}
      >
        <h1 className="text-balance font-semibold text-2xl tracking-tight">{title}</h1>
        <p className="mt-2 max-w-lg text-pretty text-ink-soft">{lead}</p>
        {children}
      </main>
    </div>
  );
}
