import type { FileTreeModel, TreeRow } from "./file-tree-model.ts";
import { parentPath } from "./guest-path.ts";

/** What a key does in the tree, after the tree pattern of the ARIA practices. */
export interface TreeKeyActions {
  open: (path: string) => void;
  rename: (path: string) => void;
  remove: (row: TreeRow) => void;
}

/** @returns whether the key was used */
export function handleTreeKey(key: string, model: FileTreeModel, actions: TreeKeyActions): boolean {
  const { rows, selected } = model.state.get();
  const at = rows.findIndex(({ path }) => path === selected);
  const row = rows[at];
  const go = (index: number) => {
    const target = rows[Math.max(0, Math.min(index, rows.length - 1))];
    if (target) model.select(target.path);
    return true;
  };
  switch (key) {
    case "ArrowDown":
      return go(at + 1);
    case "ArrowUp":
      return go(at === -1 ? rows.length - 1 : at - 1);
    case "Home":
      return go(0);
    case "End":
      return go(rows.length - 1);
  }
  if (!row) return false;
  switch (key) {
    case "ArrowRight":
      if (row.isFolder && !row.isExpanded) model.expand(row.path);
      else if (row.isFolder) go(at + 1);
      return true;
    case "ArrowLeft":
      if (row.isExpanded) model.collapse(row.path);
      else if (row.depth > 0) model.select(parentPath(row.path));
      return true;
    case "Enter":
    case " ":
      if (row.isFolder) model.toggle(row.path);
      else actions.open(row.path);
      return true;
    case "F2":
      actions.rename(row.path);
      return true;
    case "Delete":
      actions.remove(row);
      return true;
  }
  if (key.length === 1 && /\S/.test(key)) {
    const wanted = key.toLowerCase();
    const rest = [...rows.slice(at + 1), ...rows.slice(0, at + 1)];
    const found = rest.find(({ name }) => name.toLowerCase().startsWith(wanted));
    if (found) model.select(found.path);
    return found !== undefined;
  }
  return false;
}
