/** Arguments of git in a view: a read-only repository of another user, a token that is in no argument. */

/** Reads what the environment holds; a constant, so nothing of the user's is ever part of a command line. */
const TOKEN_HELPER =
  '!f() { test "$1" = get && printf "username=%s\\npassword=%s\\n" "$ATOLL_GIT_USER" "$ATOLL_GIT_TOKEN"; }; f';

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
