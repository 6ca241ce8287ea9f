import { HardDrive, Lock, Network, PauseCircle } from "lucide-react";
import Link from "next/link";
import { Button } from "#ui/button.tsx";
import { Logo } from "#ui/logo.tsx";
import { ThemeMenu } from "#ui/theme-menu.tsx";
import { ProductPicture } from "./product-picture.tsx";

const FACTS = [
  {
    Icon: HardDrive,
    title: "A whole machine",
    text: "Debian with your own kernel, root and disk. Install anything; it stays installed.",
  },
  {
    Icon: PauseCircle,
    title: "Paused, not lost",
    text: "Close the tab and the machine sleeps with its memory. Come back and the same process is still counting.",
  },
  {
    Icon: Network,
    title: "No network card",
    text: "Everything in or out passes one link with a policy you choose: off, package sources, or open.",
  },
  {
    Icon: Lock,
    title: "A key you can end",
    text: "Disk and saved memory are sealed under a key of their own. Delete, and the key is gone first.",
  },
];

/** What a visitor without an account sees. Claims nothing that the product does not do. */
export function Landing() {
  return (
    <div className="min-h-dvh overflow-x-clip">
      <header className="mx-auto flex max-w-6xl items-center gap-2 px-6 py-5">
        <Logo />
        <div className="flex-1" />
        <ThemeMenu />
        <Button asChild tone="ghost">
          <Link href="/signin">Sign in</Link>
        </Button>
        <Button asChild tone="primary">
          <Link href="/signup">Create an account</Link>
        </Button>
      </header>
      <main>
        <section className="mx-auto max-w-6xl px-6 pt-16 pb-12 sm:pt-24">
          <h1 className="max-w-3xl text-balance font-semibold text-4xl leading-[1.08] tracking-[-0.03em] sm:text-6xl">
            A computer of your own, in a tab.
          </h1>
          <p className="mt-6 max-w-xl text-pretty text-ink-soft text-lg leading-7">
            Atoll gives you a persistent, encrypted virtual machine with an editor, terminals and live
            previews in front. Open it anywhere; it is exactly as you left it.
          </p>
          <div className="mt-8 flex flex-wrap items-center gap-3">
            <Button asChild tone="primary" size="lg">
              <Link href="/signup">Start for free</Link>
            </Button>
            <span className="text-ink-faint text-sm">1 CPU · 512 MB memory · 2 GB disk. No card.</span>
          </div>
        </section>
        <section aria-label="What it looks like" className="mx-auto max-w-6xl px-6">
          <ProductPicture />
        </section>
        <section aria-label="What it is" className="mx-auto max-w-6xl px-6 py-20">
          <ul className="grid gap-x-10 gap-y-10 sm:grid-cols-2 lg:grid-cols-4">
            {FACTS.map(({ Icon, title, text }) => (
              <li key={title}>
                <Icon aria-hidden className="mb-3 size-5 text-accent" />
                <h2 className="font-semibold text-ink">{title}</h2>
                <p className="mt-1.5 text-ink-soft leading-6">{text}</p>
              </li>
            ))}
          </ul>
        </section>
      </main>
      <footer className="border-line border-t">
        <p className="mx-auto max-w-6xl px-6 py-6 text-ink-faint text-xs">
          Where the host has no hardware virtualisation, machines run emulated. They say so, because emulation
          is not a security boundary.
        </p>
      </footer>
    </div>
  );
}
