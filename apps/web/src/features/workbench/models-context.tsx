"use client";
import { createContext, use } from "react";
import type { WorkbenchModels } from "./workbench-models.ts";

export const ModelsContext = createContext<WorkbenchModels | null>(null);

/** The models of this page; only below the workbench. */
export function useModels(): WorkbenchModels {
  const models = use(ModelsContext);
  if (!models) throw new Error("no workbench around this component");
  return models;
}
