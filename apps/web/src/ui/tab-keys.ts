import type { KeyboardEvent } from "react";

/** Keys of a list of tabs after the ARIA practices: arrows, Home and End move, Enter chooses (opening takes the focus along), Delete closes. */
export function onTabKey(event: KeyboardEvent<HTMLElement>, close: () => void): void {
  if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
  if (event.key === "Delete") {
    event.preventDefault();
    return close();
  }
  const tabs = [...(event.currentTarget.closest("[role=tablist]")?.querySelectorAll("[role=tab]") ?? [])];
  const at = tabs.indexOf(event.currentTarget);
  const targets: Record<string, number> = {
    ArrowRight: at + 1,
    ArrowLeft: at - 1,
    Home: 0,
    End: tabs.length - 1,
  };
  const to = targets[event.key];
  if (to === undefined) return;
  const tab = tabs[(to + tabs.length) % tabs.length];
  if (!(tab instanceof HTMLElement)) return;
  event.preventDefault();
  tab.focus();
}
