"use client";
import { useSyncExternalStore } from "react";
import type { ModelState } from "./model-state.ts";

export function useModelState<S extends object>(state: ModelState<S>): S {
  return useSyncExternalStore(state.subscribe, state.get, state.get);
}
