"use client";
import { useSyncExternalStore } from "react";

/**
 * Whether the dark colours are in force now. The theme library's own value changes before the page's attribute does,
 * so whoever reads colours in an effect of that one reads the old ones.
 */
export function useIsDark(): boolean {
  return useSyncExternalStore(
    subscribe,
    () => document.documentElement.dataset.theme === "dark",
    () => false,
  );
}

function subscribe(listener: () => void): () => void {
  const observer = new MutationObserver(listener);
  observer.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  return () => observer.disconnect();
}
