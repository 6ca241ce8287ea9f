const KEY = "atoll.tab";

/** Names this tab for as long as it lives, reloads included. A duplicated tab copies the storage, so it takes a new name. */
export function tabId(): string {
  const isReload = performance
    .getEntriesByType("navigation")
    .some((entry) => ["reload", "back_forward"].includes((entry as PerformanceNavigationTiming).type));
  const known = sessionStorage.getItem(KEY);
  const wasLeft = sessionStorage.getItem(`${KEY}.left`) === "1";
  sessionStorage.removeItem(`${KEY}.left`);
  const id = known !== null && (isReload || wasLeft) ? known : crypto.randomUUID();
  sessionStorage.setItem(KEY, id);
  addEventListener("pagehide", () => sessionStorage.setItem(`${KEY}.left`, "1"));
  return id;
}
