import { readSmallFile } from "./read-small-file.ts";

/** Whom terminals and programs run as. */
export interface UserAccount {
  uid: number;
  gid: number;
  name: string;
  home: string;
  shell: string;
  /** Variables of every program, before what a caller adds. */
  env: Record<string, string>;
}

const FALLBACK_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Read anew for each program: users change their shell and `/etc/environment`. Never fails: a broken file means defaults. */
export async function readUserAccount(uid: number): Promise<UserAccount> {
  const [passwd, environment] = await Promise.all([
    readSmallFile("/etc/passwd", 1024 * 1024),
    readSmallFile("/etc/environment"),
  ]);
  const fields = (passwd ?? "")
    .split("\n")
    .map((line) => line.split(":"))
    .find((line) => line.length === 7 && line[2] === String(uid));
  const [name = "dev", , , gid = String(uid), , home = "/home/dev", shell = ""] = fields ?? [];
  const account = { uid, gid: Number(gid), name, home, shell: shell === "" ? "/bin/bash" : shell };
  return {
    ...account,
    env: {
      PATH: FALLBACK_PATH,
      LANG: "C.UTF-8",
      ...parseEnvironment(environment ?? ""),
      HOME: account.home,
      USER: account.name,
      LOGNAME: account.name,
      SHELL: account.shell,
    },
  };
}

/** `KEY=VALUE` lines, the value perhaps in quotes. */
export function parseEnvironment(text: string): Record<string, string> {
  const variables: Record<string, string> = {};
  for (const line of text.split("\n")) {
    const match = /^\s*([A-Za-z_][A-Za-z0-9_]*)=(.*?)\s*$/.exec(line);
    if (match?.[1] === undefined || match[2] === undefined || match[2].includes("\0")) continue;
    variables[match[1]] = match[2].replace(/^(["'])(.*)\1$/, "$2");
  }
  return variables;
}
