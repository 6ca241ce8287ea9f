import { readdirSync, readFileSync } from "node:fs";

export interface ForegroundProcess {
  /** As the kernel has it, at most 15 bytes; of a script its own name. */
  command: string;
  argv: string[];
}

/** Programs that only wait for a person: none of them is work by itself. */
const WAITING = new Set(
  "vi vim vim.tiny vim.basic nvim nano pico emacs joe micro less more most man view top htop btop atop tmux screen".split(
    " ",
  ),
);
/** Programs that wait for a person unless they were given something to run. */
const PROMPTING =
  /^-?(?:[a-z]*sh|su|sudo|login|python[\d.]*|ipython[\d.]*|node|irb|psql|mysql|sqlite3|redis-cli|bc|gdb|lua[\d.]*|ghci)$/;

/** The command in front of a terminal when it is work, and not a prompt or a page waiting for somebody. */
export function foregroundCommand(shellPid: number): string | undefined {
  const groupId = foregroundGroup(shellPid);
  const front = groupId === undefined ? undefined : processOf(groupId);
  return front !== undefined && isWork(front) ? front.command : undefined;
}

export function isWork({ command, argv }: ForegroundProcess): boolean {
  if (WAITING.has(command)) return false;
  return !PROMPTING.test(command) || argv.slice(1).some((word) => !word.startsWith("-"));
}

/** Of the terminal that a process has; undefined when the process is gone or has none. */
function foregroundGroup(pid: number): number | undefined {
  const groupId = Number(statFields(pid)?.[5]);
  return groupId > 0 ? groupId : undefined;
}

/** The group's first process, or if that ended, as in a pipeline, another of it. */
function processOf(groupId: number): ForegroundProcess | undefined {
  const leader = read(groupId);
  if (leader !== undefined) return leader;
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    if (pid > 0 && Number(statFields(pid)?.[2]) === groupId) {
      const member = read(pid);
      if (member !== undefined) return member;
    }
  }
  return undefined;
}

function read(pid: number): ForegroundProcess | undefined {
  try {
    const argv = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").slice(0, -1);
    // A zombie has a name still but no command line.
    if (argv.length === 0) return undefined;
    return { command: readFileSync(`/proc/${pid}/comm`, "utf8").trimEnd(), argv };
  } catch {
    return undefined;
  }
}

/** From the state on: state, parent, group, session, terminal, the terminal's foreground group. */
function statFields(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  } catch {
    return undefined;
  }
}
