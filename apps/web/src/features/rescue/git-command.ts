/** Arguments of git in a view: a read-only repository of another user, a token that is in no argument. */
import type { ErrorCode } from "@atoll/protocol/errors";

/** Before a line of our helper. What a server says comes behind git's `remote: `, so it cannot begin a line with this. */
const HELPER_MARK = "\x1eatoll-credential ";
/**
 * Reads what the environment holds; a constant, so nothing of the user's is ever part of a command line. git asks it to
 * `get` when the server wants a name, and then to `store` what was taken or to `erase` what was not: each is told on stderr.
 */
const TOKEN_HELPER = [
  '!f() { printf "\\036atoll-credential %s\\n" "$1" >&2;',
  'test "$1" = get && printf "username=%s\\npassword=%s\\n" "$ATOLL_GIT_USER" "$ATOLL_GIT_TOKEN"; }; f',
].join(" ");

export function gitArgv(folder: string, ...rest: string[]): string[] {
  return ["git", "-c", "safe.directory=*", "-c", "core.fsmonitor=false", "-C", folder, ...rest];
}

export interface PushTarget {
  folder: string;
  url: string;
  /** A branch of the repository. */
  branch: string;
  user: string;
  token: string;
}

export function pushArgv({ folder, url, branch }: PushTarget): string[] {
  const quiet = ["-c", "credential.helper=", "-c", `credential.helper=${TOKEN_HELPER}`];
  const [git = "git", ...before] = gitArgv(folder);
  return [
    git,
    ...quiet,
    ...before,
    "push",
    "--porcelain",
    "--",
    url,
    `refs/heads/${branch}:refs/heads/${branch}`,
  ];
}

export function pushEnv({ user, token }: Pick<PushTarget, "user" | "token">): Record<string, string> {
  return {
    GIT_TERMINAL_PROMPT: "0",
    GIT_OPTIONAL_LOCKS: "0",
    ATOLL_GIT_USER: user === "" ? "git" : user,
    ATOLL_GIT_TOKEN: token,
  };
}

export type UrlFault = "not_https" | "has_password";

/** Machines reach the network through a web proxy, so ssh addresses lead nowhere. */
export function urlFault(text: string): UrlFault | undefined {
  const url = URL.parse(text);
  if (!url || (url.protocol !== "https:" && url.protocol !== "http:") || url.hostname === "")
    return "not_https";
  return url.password === "" && url.username === "" ? undefined : "has_password";
}

export interface PushedRef {
  /** git's own mark: ` ` forward, `*` new, `=` nothing to do, `!` refused, `+` forced. */
  flag: string;
  ref: string;
  summary: string;
}

/** The lines of `git push --porcelain`: flag, `from:to`, summary, separated by tabs. */
export function parsePushed(stdout: string): PushedRef[] {
  return stdout.split("\n").flatMap((line) => {
    const [flag, refs, summary] = line.split("\t");
    if (flag?.length !== 1 || refs === undefined || summary === undefined) return [];
    return [{ flag, ref: refs.slice(refs.indexOf(":") + 1), summary }];
  });
}

/** What git said itself, without the lines of our helper. */
export function gitWords(output: string): string {
  return output
    .split("\n")
    .filter((line) => !line.startsWith(HELPER_MARK))
    .join("\n");
}

export interface PushResult {
  exitCode: number | null;
  stdout: string;
  stderr: string;
}

/** Why git gave up, by its marks and by what it asked of our helper; its words are for people. Undefined: it did not. */
export function pushFault({ exitCode, stdout, stderr }: PushResult): ErrorCode | undefined {
  const isRefused = parsePushed(stdout).some(({ flag }) => flag === "!");
  if (exitCode === 0 && !isRefused) return undefined;
  const asked = stderr
    .split("\n")
    .flatMap((line) => (line.startsWith(HELPER_MARK) ? [line.slice(HELPER_MARK.length)] : []));
  if (isRefused || asked.includes("store")) return "git.push_refused";
  return asked.includes("get") ? "git.auth_failed" : "git.unreachable";
}
