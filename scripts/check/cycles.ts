import { dirname, join } from "node:path/posix";
import type { Source } from "./sources.ts";

/**
 * Files that import each other in a ring at run time, each ring once. Type imports are left out: they are erased,
 * and a pair of interfaces may well know each other.
 */
export function findCycles(sources: readonly Source[]): string[] {
  const known = new Map(sources.map((source) => [source.path, source]));
  const done = new Set<string>();
  const faults: string[] = [];

  const visit = (path: string, trail: string[]): void => {
    const start = trail.indexOf(path);
    if (start >= 0) {
      const ring = [...trail.slice(start), path].join(" → ");
      faults.push(`${ring}: a cycle; move what both need into a third file, or pass it in`);
      return;
    }
    if (done.has(path)) return;
    for (const target of targetsOf(path)) visit(target, [...trail, path]);
    done.add(path);
  };
  const targetsOf = (path: string): string[] =>
    (known.get(path)?.imports ?? [])
      .filter(({ specifier, isType }) => specifier.startsWith(".") && !isType)
      .map(({ specifier }) => resolve(dirname(path), specifier))
      .filter((target) => target !== undefined);
  const resolve = (directory: string, specifier: string): string | undefined => {
    const target = join(directory, specifier);
    // The web app's bundler also takes specifiers without an extension.
    return [target, `${target}.ts`, `${target}.tsx`].find((candidate) => known.has(candidate));
  };

  for (const { path } of sources) visit(path, []);
  return faults;
}
