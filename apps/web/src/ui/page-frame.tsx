import type { ReactNode } from "react";
import { classNames } from "./class-names.ts";
import { HomeLogo } from "./home-logo.tsx";

export interface PageFrameProps {
  /** Of the content: its width. */
  className: string;
  children: ReactNode;
}

/** A page with little on it: the logo that leads home in its corner, the content in the middle. */
export function PageFrame({ className, children }: PageFrameProps) {
  return (
    <div className="flex min-h-dvh flex-col">
      <header className="p-6">
        <HomeLogo />
      </header>
      <main
        className={classNames("mx-auto flex w-full flex-1 flex-col justify-center px-6 pb-32", className)}
      >
        {children}
      </main>
    </div>
  );
}
