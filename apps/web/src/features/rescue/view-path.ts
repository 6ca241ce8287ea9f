import { VIEW_ROOT } from "@atoll/protocol/messages/views";
import { isWithin, WORKSPACE_ROOT } from "../files/guest-path.ts";

/** Where the workspace's `path` is in the viewing machine. */
export function viewPath(path: string): string {
  return path === "/" ? VIEW_ROOT : `${VIEW_ROOT}${path}`;
}

/** The workspace's own name of a path below the view. */
export function workspacePath(path: string): string {
  if (path === VIEW_ROOT || !isWithin(path, VIEW_ROOT)) return "/";
  return path.slice(VIEW_ROOT.length);
}

export const VIEW_WORKSPACE = viewPath(WORKSPACE_ROOT);
