import { existsSync } from "node:fs";

/** Finds a program by its path below `/usr`, such as `bin/tar`, as the beginning of an argv. */
export type FindTool = (path: string) => string[];

/**
 * Programs of the image's own base run with the base's libraries, so that what a user did to theirs does not matter.
 * On a machine without one, as in tests, the machine's own.
 */
export function baseTools(base: string): FindTool {
  const runner = `${base}/usr/lib/atoll/run-from-base`;
  const hasBase = existsSync(runner);
  return (path) => (hasBase ? [runner, `${base}/usr/${path}`] : [`/usr/${path}`]);
}

/** What a tool sees of the environment: plain messages and no user's settings. */
export const TOOL_ENV = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C", TZ: "UTC" };
