"use client";
/** What is open and how large, remembered for each workspace on this device. */
import { create, type StoreApi, type UseBoundStore } from "zustand";
import { persist } from "zustand/middleware";

export type SideView = "explorer" | "ports" | "timeline";

export interface WorkbenchState {
  side: SideView | undefined;
  isPanelOpen: boolean;
  preview: { port: number; path: string } | undefined;
  openPaths: string[];
  activePath: string | undefined;
  /** The loss of memory whose notice was closed. */
  seenLossAtMs: number | undefined;
  /** The last restore made here: its safety checkpoint brings back what was before. */
  undo: { safetyCheckpointId: string; name: string; atMs: number } | undefined;
  layouts: Record<string, Record<string, number>>;
  set: (patch: Partial<Omit<WorkbenchState, "set">>) => void;
}

const stores = new Map<string, UseBoundStore<StoreApi<WorkbenchState>>>();

export function workbenchStore(workspaceId: string): UseBoundStore<StoreApi<WorkbenchState>> {
  let store = stores.get(workspaceId);
  if (!store) {
    store = create<WorkbenchState>()(
      persist(
        (set) => ({
          side: "explorer",
          isPanelOpen: true,
          preview: undefined,
          openPaths: [],
          activePath: undefined,
          seenLossAtMs: undefined,
          undo: undefined,
          layouts: {},
          set: (patch) => set(patch),
        }),
        { name: `atoll.workbench.${workspaceId}`, version: 1 },
      ),
    );
    stores.set(workspaceId, store);
  }
  return store;
}
