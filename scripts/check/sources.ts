import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

export interface Import {
  /** As written. */
  specifier: string;
  /** `import type` and `export type`: gone at run time. */
  isType: boolean;
  line: number;
}

export interface Source {
  /** Relative to the repository. */
  path: string;
  text: string;
  imports: Import[];
}

const CODE = /\.(?:ts|tsx|mts|mjs|js)$/;
const COMMENT = /\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/[^\n]*/g;
/** A statement begins its line, after formatting; `[^"'`;]` keeps the match inside one statement. */
const STATEMENT = /^(?:import|export)\s+(type\s+)?(?:[^"'`;]*?\sfrom\s+)?["']([^"'\n]+)["']/gm;
const DYNAMIC = /\bimport\(\s*["']([^"'\n]+)["']\s*\)/g;

/** Every code file that is or will be committed: git knows what is ignored. */
export function readSources(repository: string): Source[] {
  const listed = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard", "-z"], {
    cwd: repository,
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
  });
  return listed
    .split("\0")
    .filter((path) => CODE.test(path) && existsSync(join(repository, path)))
    .map((path) => parseSource(path, readFileSync(join(repository, path), "utf8")));
}

export function parseSource(path: string, text: string): Source {
  // Comments become blanks of the same shape, so that line numbers stay right.
  const code = text.replaceAll(COMMENT, (comment) => comment.replaceAll(/[^\n]/g, " "));
  const found: Import[] = [];
  const lineAt = (index: number) => code.slice(0, index).split("\n").length;
  for (const match of code.matchAll(STATEMENT)) {
    found.push({ specifier: match[2] ?? "", isType: match[1] !== undefined, line: lineAt(match.index) });
  }
  for (const match of code.matchAll(DYNAMIC)) {
    found.push({ specifier: match[1] ?? "", isType: false, line: lineAt(match.index) });
  }
  return { path, text, imports: found };
}
