/** A ring of land around still water, open on one side. */
export function LogoMark({ className }: { className?: string }) {
  return (
    <svg viewBox="0 0 24 24" className={className} aria-hidden="true" fill="none">
      <path
        d="M19.6 7.4A8.9 8.9 0 1 0 20.9 12"
        stroke="currentColor"
        strokeWidth="3.1"
        strokeLinecap="round"
      />
      <circle cx="12" cy="12" r="2.6" fill="currentColor" opacity="0.55" />
    </svg>
  );
}

export function Logo() {
  return (
    <span className="inline-flex items-center gap-2 font-semibold text-ink text-lg tracking-tight">
      <LogoMark className="size-5.5 text-accent" />
      Atoll
    </span>
  );
}
