"use client";
import { useSyncExternalStore } from "react";

/** As wide as a telephone: Tailwind's `max-sm`. */
const NARROW = "(width < 40rem)";

export function useIsNarrow(): boolean {
  return useSyncExternalStore(
    (listener) => {
      const query = matchMedia(NARROW);
      query.addEventListener("change", listener);
      return () => query.removeEventListener("change", listener);
    },
    () => matchMedia(NARROW).matches,
    () => false,
  );
}
