/** Where the user's files are; the tree's root and new terminals' directory. */
export const WORKSPACE_ROOT = "/workspace";

export function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

export function parentPath(path: string): string {
  const at = path.lastIndexOf("/");
  return at <= 0 ? "/" : path.slice(0, at);
}

export function childPath(parent: string, name: string): string {
  return parent === "/" ? `/${name}` : `${parent}/${name}`;
}

export function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder === "/" ? "/" : `${folder}/`);
}

/** As shown to people: relative to the root. */
export function shownPath(path: string): string {
  return isWithin(path, WORKSPACE_ROOT) ? path.slice(WORKSPACE_ROOT.length + 1) : path;
}
