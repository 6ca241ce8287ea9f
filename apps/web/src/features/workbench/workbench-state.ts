"use client";
/** What is open and how large, remembered for each workspace on this device. */
import { create, type StoreApi, type UseBoundStore } from "zustand";
import { persist } from "zustand/middleware";

export type SideView = "explorer" | "ports";

export interface WorkbenchState {
  side: SideView | undefined;
  isPanelOpen: boolean;
  preview: { port: number; path: string } | undefined;
  openPaths: string[];
  activePath: string | undefined;
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
