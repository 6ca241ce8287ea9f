import { dirname, join } from "node:path/posix";

const ROOTS = /^(?:apps|packages|prisma|scripts|vm-images|e2e|bench|chaos|docs|\.ci)\//;
const LINK = /\]\(([^)\s]+)\)/g;
const CODE_SPAN = /`([^`\n]+)`/g;
/** Written by commands, so not there in a fresh checkout. */
const MADE = /^(?:bench\/results\.json|packages\/db\/src\/generated(?:\/|$))/;

/** Paths named in code spans from the repository's top, and relative links. */
export function documentFaults(path: string, text: string, exists: (path: string) => boolean): string[] {
  const faults: string[] = [];
  for (const [index, line] of text.split("\n").entries()) {
    for (const named of namedPaths(dirname(path), line)) {
      if (named.some((candidate) => !MADE.test(candidate) && !exists(candidate))) {
        faults.push(
          `${path}:${index + 1}: names ${named.join(" and ")}, which does not exist; correct it or remove it`,
        );
      }
    }
  }
  return faults;
}

/** Each entry: one thing named, as the paths that must all exist (`{a,b}` names two). */
function namedPaths(directory: string, line: string): string[][] {
  const found: string[][] = [];
  for (const match of line.matchAll(LINK)) {
    const target = (match[1] ?? "").replace(/[#?].*$/, "");
    if (target !== "" && !/^[a-z]+:/.test(target)) found.push([join(directory, target)]);
  }
  for (const match of line.matchAll(CODE_SPAN)) {
    for (const word of (match[1] ?? "").split(/\s+/)) {
      if (ROOTS.test(word)) found.push(expand(word.replace(/[:.,;]+$/, "").replace(/:\d+$/, "")));
    }
  }
  return found;
}

/** Up to the first wildcard or placeholder only: what stands behind it is not one path. */
function expand(word: string): string[] {
  const group = /^(.*?)\{([^{}]+)\}(.*)$/.exec(word);
  if (group) return (group[2] ?? "").split(",").flatMap((part) => expand(`${group[1]}${part}${group[3]}`));
  const wildcard = word.search(/[*<$]/);
  return [wildcard < 0 ? word : dirname(word.slice(0, wildcard + 1))];
}
