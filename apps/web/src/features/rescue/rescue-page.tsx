"use client";
import { lazy, Suspense, useSyncExternalStore } from "react";
import type { RescueProps } from "./rescue.tsx";
import { RescueFrame } from "./rescue-frame.tsx";

const Rescue = lazy(() => import("./rescue.tsx").then((module) => ({ default: module.Rescue })));
const noSubscription = () => () => {};

/** Everything of it is the browser's; the server sends the outline. */
export function RescuePage(props: RescueProps) {
  const isBrowser = useSyncExternalStore(
    noSubscription,
    () => true,
    () => false,
  );
  const frame = <RescueFrame name={props.workspace.name} />;
  if (!isBrowser) return frame;
  return (
    <Suspense fallback={frame}>
      {/* Another state is another machine: nothing of the last one is kept. */}
      <Rescue key={props.checkpointId ?? "current"} {...props} />
    </Suspense>
  );
}
