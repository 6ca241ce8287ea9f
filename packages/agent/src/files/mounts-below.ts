import { readFile } from "node:fs/promises";

/** Where something else is mounted below `path`, relative to it. `path` holds no symlinks. */
export async function mountsBelow(path: string): Promise<string[]> {
  const prefix = path === "/" ? path : `${path}/`;
  const lines = (await readFile("/proc/self/mountinfo", "utf8")).split("\n");
  return lines
    .map((line) => unescaped(line.split(" ")[4] ?? ""))
    .filter((point) => point.startsWith(prefix) && point !== prefix)
    .map((point) => point.slice(prefix.length));
}

/** Blanks and the like are written as three octal digits. */
function unescaped(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_match, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}
