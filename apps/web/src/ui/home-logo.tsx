import Link from "next/link";
import { Logo } from "./logo.tsx";

/** The corner of a page for anybody: the logo, which leads home. */
export function HomeLogo() {
  return (
    <Link href="/" aria-label="Atoll, home" className="inline-flex rounded-md">
      <Logo />
    </Link>
  );
}
