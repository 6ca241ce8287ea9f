import type { Connection } from "../connection/connection.ts";
import type { FolderListener } from "../files/folder-watch.ts";

/** Stored files do not change, so nothing is watched; but every new link shows them anew. */
export class LinkRefresh {
  readonly #listeners = new Set<FolderListener>();
  readonly #detach: () => void;

  constructor(connection: Pick<Connection, "onLink">) {
    this.#detach = connection.onLink(async () => {
      for (const listener of [...this.#listeners]) listener({ path: undefined });
    });
  }

  add(): void {}
  remove(): void {}

  onDidChange(listener: FolderListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    this.#detach();
  }
}
