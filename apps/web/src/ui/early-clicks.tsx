"use client";
import { useEffect } from "react";

declare global {
  interface Window {
    /** Present from the first byte of the page until it is alive. */
    atollEarlyClicks?: {
      last: { button: HTMLButtonElement; event: MouseEvent } | undefined;
      stop: () => void;
    };
  }
}

/** Links and submit buttons work without scripts; only a plain button has nobody to hear it yet. */
function remember(): void {
  const onClick = (event: MouseEvent) => {
    const button = event.target instanceof Element ? event.target.closest("button") : null;
    if (button?.type === "button") early.last = { button, event };
  };
  const early: NonNullable<typeof window.atollEarlyClicks> = {
    last: undefined,
    stop: () => removeEventListener("click", onClick, true),
  };
  window.atollEarlyClicks = early;
  addEventListener("click", onClick, true);
}

/**
 * A page is seen before its scripts have run, and who knows it is quicker than they are. The last button
 * pressed until then is pressed again once it works.
 */
export function EarlyClicks({ nonce }: { nonce: string | undefined }) {
  useEffect(() => {
    const early = window.atollEarlyClicks;
    if (!early) return;
    delete window.atollEarlyClicks;
    early.stop();
    if (!early.last?.button.isConnected) return;
    const { button, event } = early.last;
    // Still on its way: this click is what made React hasten, and React delivers it itself.
    if (event.eventPhase !== Event.NONE) return;
    // Menus open as the pointer goes down, everything else on the click.
    button.dispatchEvent(new PointerEvent("pointerdown", { bubbles: true, cancelable: true, button: 0 }));
    button.click();
  }, []);
  return (
    // Browsers hide the nonce from scripts, so React finds another one than it rendered.
    <script
      suppressHydrationWarning
      {...(nonce ? { nonce } : {})}
      // biome-ignore lint/security/noDangerouslySetInnerHtml: our own function, no input
      dangerouslySetInnerHTML={{ __html: `(${remember.toString()})()` }}
    />
  );
}
