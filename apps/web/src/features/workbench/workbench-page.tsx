"use client";
import { lazy, Suspense, useSyncExternalStore } from "react";
import type { WorkbenchProps } from "./workbench.tsx";
import { WorkbenchFrame } from "./workbench-frame.tsx";

const Workbench = lazy(() => import("./workbench.tsx").then((module) => ({ default: module.Workbench })));
const noSubscription = () => () => {};

/** Everything of the workbench is the browser's; the server sends its outline. */
export function WorkbenchPage(props: WorkbenchProps) {
  const isBrowser = useSyncExternalStore(
    noSubscription,
    () => true,
    () => false,
  );
  const frame = <WorkbenchFrame name={props.workspace.name} />;
  if (!isBrowser) return frame;
  return (
    <Suspense fallback={frame}>
      <Workbench {...props} />
    </Suspense>
  );
}
