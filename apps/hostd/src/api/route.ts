import type { IncomingMessage, ServerResponse } from "node:http";
import type { Clock } from "@atoll/base/clock";
import type { MachineSize } from "@atoll/protocol/plans";
import type { SessionRegistry } from "../sessions/session-registry.ts";
import type { StatusFeed } from "../workspaces/status-feed.ts";
import type { Workspace } from "../workspaces/workspace.ts";
import type { WorkspaceRegistry } from "../workspaces/workspace-registry.ts";
import type { HostHealthFacts } from "./health.ts";

export interface ApiContext {
  workspaces: WorkspaceRegistry;
  sessions: SessionRegistry;
  feed: StatusFeed;
  /** Of new workspaces that begin nowhere else. */
  allowsSize: (size: MachineSize) => boolean;
  health: () => HostHealthFacts;
  /** Files and folders of a checkpoint over the running workspace's own; what is there now was stored before. */
  restorePaths: (
    workspace: Workspace,
    wish: { checkpointId: string; paths: string[] },
  ) => Promise<{ restoredBytes: number }>;
  /** Whoever looks at the workspace's stored states has its preset too. */
  presetChanged: (workspaceId: string) => void;
  /** Nobody looks at it any more when this resolves. */
  checkpointDeleted: (workspaceId: string, checkpointId: string) => Promise<void>;
  clock: Clock;
}

export interface ApiRequest {
  /** `:id` of the path, a UUID by the router's check; empty where the path has none. */
  id: string;
  /** `:childId`, as `id`. */
  childId: string;
  /** Unparsed; undefined when there was none. */
  body: unknown;
}

/** One operation. Returns what the answer's body says, or streams it by itself. */
export type Route = { method: string; path: string } & (
  | {
      handle: (request: ApiRequest, context: ApiContext) => Promise<unknown> | unknown;
      /** Where a large one is right. */
      bodyMaxBytes?: number;
      /** Asking for it is work in the workspace `:id` and keeps it awake, in words for people. */
      work?: string;
    }
  | { stream: (message: IncomingMessage, response: ServerResponse, context: ApiContext) => void }
);
