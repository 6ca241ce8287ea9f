import { open } from "node:fs/promises";

const READ_BYTES = 256 * 1024;
const LINE_CHARACTERS = 400;
const FRAMES = 3;
/** Of every line, and of no use in a report. */
const LEFT_OUT = new Set(["level", "time", "process", "workspaceId", "msg", "err", "pid", "hostname"]);

/** The last lines of a service's log, each on one line with how long ago it was written. */
export async function logTail(path: string, count: number): Promise<string[]> {
  try {
    await using file = await open(path, "r");
    const { size } = await file.stat();
    const from = Math.max(0, size - READ_BYTES);
    const { buffer } = await file.read(Buffer.alloc(size - from), 0, size - from, from);
    const lines = buffer.toString("utf8").trimEnd().split("\n");
    return lines.slice(-count).map(short);
  } catch (error) {
    return [String(error)];
  }
}

function short(line: string): string {
  try {
    const entry = JSON.parse(line) as Record<string, unknown>;
    const ago = ((Number(entry.time) - Date.now()) / 1000).toFixed(1);
    const facts = Object.entries(entry).filter(([name]) => !LEFT_OUT.has(name));
    const words = facts.map(([name, value]) => `${name}=${JSON.stringify(value)}`);
    return [`${ago} s`, String(entry.msg), ...words, stackOf(entry.err)].join(" ").slice(0, LINE_CHARACTERS);
  } catch {
    return line.slice(0, LINE_CHARACTERS);
  }
}

function stackOf(err: unknown): string {
  const stack = String((err as { stack?: unknown } | undefined)?.stack ?? "");
  const [first = "", ...frames] = stack.split("\n").map((line) => line.trim());
  // A path is known by its end.
  const places = frames.slice(0, FRAMES).map((frame) => frame.replace(/\(?file:.*\/([^/]+)\)?$/, "$1"));
  return [first, ...places].join(" ").trim();
}
