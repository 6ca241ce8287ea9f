import type { WorkspaceStatus } from "@atoll/protocol/workspace-status";

type Listener = (status: WorkspaceStatus) => void;

/** Announces each change of each workspace to sessions and to the control plane. */
export class StatusFeed {
  readonly #all = new Set<Listener>();
  readonly #byWorkspace = new Map<string, Set<Listener>>();

  publish(status: WorkspaceStatus): void {
    for (const listener of this.#all) listener(status);
    for (const listener of this.#byWorkspace.get(status.workspaceId) ?? []) listener(status);
  }

  onAny(listener: Listener): () => void {
    this.#all.add(listener);
    return () => this.#all.delete(listener);
  }

  on(workspaceId: string, listener: Listener): () => void {
    const listeners = this.#byWorkspace.get(workspaceId) ?? new Set();
    this.#byWorkspace.set(workspaceId, listeners);
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0) this.#byWorkspace.delete(workspaceId);
    };
  }
}
