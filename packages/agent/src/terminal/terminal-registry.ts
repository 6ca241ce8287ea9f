import { basename } from "node:path";
import type { Clock } from "@atoll/base/clock";
import { AtollError } from "@atoll/protocol/atoll-error";
import { TERMINALS_PER_WORKSPACE } from "@atoll/protocol/limits";
import type { ParsedParamsOf } from "@atoll/protocol/message";
import type { TerminalInfo, terminalAttach, terminalOpen } from "@atoll/protocol/messages/terminal";
import type { MuxStream } from "@atoll/protocol/mux-stream";
import { LatestSender } from "../link/latest-sender.ts";
import type { GuestSystem } from "../system/guest-system.ts";
import { loginShell } from "../system/login-shell.ts";
import { exposeToOutOfMemory } from "../system/oom-score.ts";
import { randomName } from "../system/random-name.ts";
import { startFolder } from "../system/start-folder.ts";
import type { UserAccount } from "../system/user-account.ts";
import { Terminal } from "./terminal.ts";

export interface TerminalRegistryOptions {
  system: Pick<GuestSystem, "joinPrograms">;
  clock: Clock;
  readAccount: () => Promise<UserAccount>;
  /** Where a terminal starts when its opener does not say. */
  defaultFolder: string;
}

/** The workspace's terminals, from open to close; links come and go. */
export class TerminalRegistry {
  readonly #options: TerminalRegistryOptions;
  readonly #terminals = new Map<string, Terminal>();
  readonly #watchers = new Set<LatestSender>();
  #opening = 0;

  constructor(options: TerminalRegistryOptions) {
    this.#options = options;
  }

  get list(): TerminalInfo[] {
    return Array.from(this.#terminals.values(), (terminal) => terminal.info);
  }

  async open(params: ParsedParamsOf<typeof terminalOpen>): Promise<TerminalInfo> {
    if (this.#terminals.size + this.#opening >= TERMINALS_PER_WORKSPACE) {
      throw new AtollError("terminal.limit_reached", undefined, {
        details: { limit: TERMINALS_PER_WORKSPACE },
      });
    }
    this.#opening++;
    try {
      return await this.#open(params);
    } finally {
      this.#opening--;
    }
  }

  close(terminalId: string): void {
    this.#get(terminalId).close();
    this.#terminals.delete(terminalId);
    this.#changed();
  }

  async attach(params: ParsedParamsOf<typeof terminalAttach>, stream: MuxStream): Promise<void> {
    await this.#get(params.terminalId).attach(params, stream);
  }

  async watch(stream: MuxStream): Promise<void> {
    stream.sendReply({ terminals: this.list });
    const watcher = new LatestSender(stream);
    this.#watchers.add(watcher);
    void stream.closed.then(() => this.#watchers.delete(watcher));
    for await (const _item of stream) {
      // Nothing is expected from the watcher; its END ends the watch.
    }
    this.#watchers.delete(watcher);
  }

  async #open(params: ParsedParamsOf<typeof terminalOpen>): Promise<TerminalInfo> {
    const account = await this.#options.readAccount();
    const cwd = await startFolder(params.cwd, [this.#options.defaultFolder, account.home]);
    const argv = params.argv ?? [await loginShell(account.shell), "-l"];
    if (argv.some((word) => word.includes("\0")))
      throw new AtollError("request.invalid", "NUL in an argument");
    // Random: an id of an earlier life of the agent must not lead to another program's output.
    const terminalId = randomName(5);
    this.#options.system.joinPrograms();
    const terminal = startTerminal({
      terminalId,
      title: basename(argv[0] as string).slice(0, 200),
      clock: this.#options.clock,
      argv,
      env: { ...account.env, TERM: "xterm-256color", COLORTERM: "truecolor" },
      cwd,
      cols: params.cols,
      rows: params.rows,
      uid: account.uid,
      gid: account.gid,
      onChange: () => this.#changed(),
    });
    exposeToOutOfMemory(terminal.info.pid);
    this.#terminals.set(terminalId, terminal);
    this.#changed();
    return terminal.info;
  }

  #get(terminalId: string): Terminal {
    const terminal = this.#terminals.get(terminalId);
    if (terminal === undefined) throw new AtollError("terminal.not_found");
    return terminal;
  }

  #changed(): void {
    if (this.#watchers.size === 0) return;
    const event = { type: "terminals", terminals: this.list };
    for (const watcher of this.#watchers) watcher.send("terminals", event);
  }
}

function startTerminal(options: ConstructorParameters<typeof Terminal>[0]): Terminal {
  try {
    return new Terminal(options);
  } catch (cause) {
    throw new AtollError("process.not_started", "the system has no terminal to give", { cause });
  }
}
