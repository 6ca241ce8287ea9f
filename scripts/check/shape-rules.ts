import { basename } from "node:path";
import { isTest } from "./import-rules.ts";
import type { Source } from "./sources.ts";

const LONGEST_LINES = 500;
const LONG_LINES = 300;
/** Tests are lists of cases: long ones are read one case at a time. */
const LONGEST_TEST_LINES = 800;
/** Tables that are longer than any program should be: one row per entry, no logic. */
const TABLES = new Set(["packages/protocol/src/errors.ts"]);
/** Where a long file gives its reason. */
const REASON = /^[ */]*Length: \S/m;
const HEADER_LINES = 15;
const VAGUE = /^(?:utils?|helpers?|common|managers?|misc|shared)$/;
/** Roots whose files are run by people or tools, and configuration files of tools. */
const MAY_READ_ENVIRONMENT = /^(?:scripts|e2e|bench)\/|(?:^|\/)env\.ts$|\.config\.(?:ts|mts|mjs|js)$/;
/** Constants that a bundler writes in place of the expression. */
const BUILD_CONSTANT = /process\.env\.(?:NODE_ENV|NEXT_RUNTIME)\b/g;
const CODE_COMMENT = /\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/[^\n]*/g;

/** Name, length and environment of one file. */
export function shapeFaults({ path, text }: Source): string[] {
  const faults: string[] = [];
  const vague = path.split("/").find((part) => part.split(/[.-]/).some((word) => VAGUE.test(word)));
  if (vague) faults.push(`${path}: "${vague}" names no concept; name it after the one thing it exports`);

  const lines = text.trimEnd().split("\n");
  const isTable = TABLES.has(path);
  const longest = isTest(path) ? LONGEST_TEST_LINES : LONGEST_LINES;
  const needsReason = !isTest(path) && !REASON.test(lines.slice(0, HEADER_LINES).join("\n"));
  if (!isTable && lines.length > longest) {
    faults.push(`${path}: ${lines.length} lines; split it, ${longest} is the most`);
  } else if (!isTable && lines.length > LONG_LINES && needsReason) {
    faults.push(
      `${path}: ${lines.length} lines; split it, or say why in its header comment on a line "Length: <reason>"`,
    );
  }

  if (!MAY_READ_ENVIRONMENT.test(path) && !isTest(path) && basename(path) !== "prisma-schema-engine.mjs") {
    const code = text.replaceAll(CODE_COMMENT, (comment) => comment.replaceAll(/[^\n]/g, " "));
    for (const [index, line] of code.split("\n").entries()) {
      if (line.replaceAll(BUILD_CONSTANT, "").includes("process.env")) {
        faults.push(
          `${path}:${index + 1}: reads process.env; add the variable to this process's env.ts and pass it down`,
        );
      }
    }
  }
  return faults;
}
