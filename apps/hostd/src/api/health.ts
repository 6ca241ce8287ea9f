import { hostHealth } from "@atoll/protocol/hostd-api";
import type { z } from "zod";
import type { Route } from "./route.ts";

export type HostHealthFacts = Pick<
  z.infer<typeof hostHealth>,
  "isolation" | "template" | "vmm" | "poolReadyCount" | "forksReadyCount"
>;

export const healthRoute: Route = {
  method: "GET",
  path: "/healthz",
  handle: (_request, { workspaces, health }) => {
    const states = workspaces.list().map(({ record }) => record.state);
    return hostHealth.parse({
      ok: true,
      ...health(),
      workspaceCount: states.filter((state) => state !== "erased").length,
      runningCount: states.filter((state) => state === "running" || state === "pausing").length,
    });
  },
};
