import type { IncomingMessage, ServerResponse } from "node:http";
import type { Clock } from "@atoll/base/clock";
import type { SessionRegistry } from "../sessions/session-registry.ts";
import type { StatusFeed } from "../workspaces/status-feed.ts";
import type { WorkspaceRegistry } from "../workspaces/workspace-registry.ts";
import type { HostHealthFacts } from "./health.ts";

export interface ApiContext {
  workspaces: WorkspaceRegistry;
  sessions: SessionRegistry;
  feed: StatusFeed;
  health: () => HostHealthFacts;
  clock: Clock;
}

export interface ApiRequest {
  /** `:id` of the path, a UUID by the router's check; empty where the path has none. */
  id: string;
  /** Unparsed; undefined when there was none. */
  body: unknown;
}

/** One operation. Returns what the answer's body says, or streams it by itself. */
export type Route = { method: string; path: string } & (
  | { handle: (request: ApiRequest, context: ApiContext) => Promise<unknown> | unknown }
  | { stream: (message: IncomingMessage, response: ServerResponse, context: ApiContext) => void }
);
