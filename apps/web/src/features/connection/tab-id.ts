const KEY = "atoll.tab";
let ofThisPage: string | undefined;

/** Names this tab for as long as it lives, reloads included. A duplicated tab copies the storage, so it takes a new name. */
export function tabId(): string {
  ofThisPage ??= restoreOrMake();
  return ofThisPage;
}

function restoreOrMake(): string {
  const navigation = performance.getEntriesByType("navigation")[0] as PerformanceNavigationTiming | undefined;
  const isReturn = navigation?.type === "reload" || navigation?.type === "back_forward";
  const known = sessionStorage.getItem(KEY);
  // Set only by a page of this very tab on its way out: a copy was made while it was still there.
  const wasLeft = sessionStorage.getItem(`${KEY}.left`) === "1";
  sessionStorage.removeItem(`${KEY}.left`);
  const id = known !== null && (isReturn || wasLeft) ? known : crypto.randomUUID();
  sessionStorage.setItem(KEY, id);
  addEventListener("pagehide", () => sessionStorage.setItem(`${KEY}.left`, "1"));
  return id;
}
