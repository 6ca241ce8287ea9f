import type { WorkspaceStatus } from "@atoll/protocol/workspace-status";
import type { Route } from "./route.ts";

const KEEP_ALIVE_MS = 15_000;

/** All statuses first, then each change. A reader that is behind gets the newest of each workspace once it reads again. */
export const eventsRoute: Route = {
  method: "GET",
  path: "/v1/events",
  stream: (_message, response, { workspaces, feed, clock }) => {
    response.writeHead(200, { "content-type": "application/x-ndjson", "cache-control": "no-store" });
    const unsent = new Map<string, WorkspaceStatus>();
    let isBlocked = false;
    const flush = () => {
      for (const [workspaceId, status] of unsent) {
        if (isBlocked) return;
        unsent.delete(workspaceId);
        isBlocked = !response.write(`${JSON.stringify(status)}\n`);
      }
    };
    const push = (status: WorkspaceStatus) => {
      unsent.set(status.workspaceId, status);
      flush();
    };
    response.on("drain", () => {
      isBlocked = false;
      flush();
    });
    const stopListening = feed.onAny(push);
    let cancelBeat = () => {};
    const beat = () => {
      cancelBeat = clock.schedule(KEEP_ALIVE_MS, () => {
        if (!isBlocked) isBlocked = !response.write("\n");
        beat();
      });
    };
    beat();
    response.on("close", () => {
      stopListening();
      cancelBeat();
      unsent.clear();
    });
    response.on("error", () => {});
    response.flushHeaders();
    for (const status of workspaces.statuses()) push(status);
  },
};
