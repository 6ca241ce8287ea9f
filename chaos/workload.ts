/**
 * What must survive: files on the disk and in memory with known hashes, a process that counts, an open terminal. The
 * counter runs without forking, so that it is no work that keeps the workspace awake.
 */
import { createHash, randomBytes } from "node:crypto";
import { call, openChannel } from "@atoll/protocol/call";
import { terminalAttach, terminalOpen, terminalWatch } from "@atoll/protocol/messages/terminal";
import type { ChaosSession } from "./chaos-session.ts";

const FOLDER = "/workspace/chaos";
const MEMORY = "/dev/shm/chaos";
const COUNTER = [
  `mkdir -p ${MEMORY}; exec 3<>${MEMORY}/clock.fifo; n=0`,
  `while :; do n=$((n+1)); echo "$$ $n" > ${MEMORY}/count; read -t 0.5 -u 3 x; done`,
].join("; ");
const FILE_BYTES = 20_000;
const ECHO_TIMEOUT_MS = 20_000;

export interface Memory {
  counterPid: number;
  count: number;
  terminalId: string;
  terminalPid: number;
}

export class Workload {
  /** Saved and acknowledged: path and SHA-256. */
  readonly files = new Map<string, string>();
  memory: Memory | undefined;
  /** In memory: path and SHA-256. */
  #memoryFiles = new Map<string, string>();
  #marks: string[] = [];

  /** A process that counts, a file in memory, a terminal: all that a lost memory takes. */
  async startMemory(session: ChaosSession): Promise<void> {
    const setUp = `mkdir -p ${FOLDER} ${MEMORY}; rm -f ${MEMORY}/clock.fifo; mkfifo ${MEMORY}/clock.fifo`;
    await session.run("bash", "-c", setUp);
    await session.run("bash", "-c", `nohup setsid bash -c '${COUNTER}' >/dev/null 2>&1 </dev/null &`);
    this.#memoryFiles = new Map([await writeFile(session, `${MEMORY}/kept`)]);
    this.#marks = [];
    const { terminalId, pid } = await call(session.mux, terminalOpen, { cols: 80, rows: 24 });
    this.memory = { ...(await readCount(session)), terminalId, terminalPid: pid };
    await this.typeMark(session);
  }

  /** One more file that is safe from here on. */
  async save(session: ChaosSession, name: string): Promise<void> {
    const [path, hash] = await writeFile(session, `${FOLDER}/${name}`);
    this.files.set(path, hash);
  }

  /** Types a command into the open terminal and waits for what it prints. */
  async typeMark(session: ChaosSession): Promise<void> {
    if (this.memory === undefined) return;
    const number = 1 + Math.floor(Math.random() * 1_000_000);
    const mark = `mark-${number * 2}`;
    await onTerminal(session, this.memory.terminalId, {
      input: `echo mark-$((${number}*2))\n`,
      expected: [mark],
    });
    this.#marks.push(mark);
  }

  /** @returns what is wrong with the saved files */
  async checkFiles(session: ChaosSession): Promise<string[]> {
    return wrongHashes(session, this.files);
  }

  /** @returns false when memory is not what it was; throws when it is neither that nor gone */
  async isMemoryThere(session: ChaosSession): Promise<boolean> {
    const { memory } = this;
    if (memory === undefined) return false;
    const there = await session.run("sh", "-c", `test -e ${MEMORY}/count && echo yes || echo no`);
    if (there === "no") return false;
    const wrong = await wrongHashes(session, this.#memoryFiles);
    if (wrong.length > 0) throw new Error(`files in memory are not what they were: ${wrong}`);
    const seen = await readCount(session);
    if (seen.counterPid !== memory.counterPid || seen.count < memory.count) {
      throw new Error(`the counter went from ${JSON.stringify(memory)} to ${JSON.stringify(seen)}`);
    }
    const deadline = performance.now() + ECHO_TIMEOUT_MS;
    while ((await readCount(session)).count <= seen.count) {
      if (performance.now() > deadline) throw new Error(`the counter stands still at ${seen.count}`);
    }
    const watch = await openChannel(session.mux, terminalWatch, {});
    watch.stream.end();
    const terminal = watch.result.terminals.find(({ terminalId }) => terminalId === memory.terminalId);
    watch.stream.reset();
    if (terminal?.pid !== memory.terminalPid || terminal.exit !== undefined) {
      throw new Error(`the terminal is ${JSON.stringify(terminal)}, it was ${JSON.stringify(memory)}`);
    }
    // Its scrollback has what was printed before.
    await onTerminal(session, memory.terminalId, { expected: this.#marks.slice(-20) });
    this.memory = { ...memory, ...(await readCount(session)) };
    return true;
  }
}

async function writeFile(session: ChaosSession, path: string): Promise<[path: string, hash: string]> {
  const text = randomBytes(FILE_BYTES / 2).toString("hex");
  await session.run("sh", "-c", `printf %s "$1" > "$0" && sync "$0"`, path, text);
  return [path, createHash("sha256").update(text).digest("hex")];
}

async function wrongHashes(session: ChaosSession, files: ReadonlyMap<string, string>): Promise<string[]> {
  if (files.size === 0) return [];
  const output = await session.run("sh", "-c", 'sha256sum -- "$@" 2>&1 || true', "sh", ...files.keys());
  const found = new Map(
    output.split("\n").map((line): [string, string] => [line.slice(66), line.slice(0, 64)]),
  );
  return [...files].filter(([path, hash]) => found.get(path) !== hash).map(([path]) => path);
}

async function readCount(session: ChaosSession): Promise<{ counterPid: number; count: number }> {
  // Between truncation and writing the file is empty for a moment.
  for (let attempt = 0; ; attempt++) {
    const [pid, count] = (await session.run("sh", "-c", `cat ${MEMORY}/count 2>/dev/null || true`)).split(
      " ",
    );
    if (count !== undefined && count !== "") return { counterPid: Number(pid), count: Number(count) };
    if (attempt > 50) throw new Error("the counter does not count");
  }
}

/** Attaches anew, with everything that is kept, and reads until all of `expected` were shown. */
async function onTerminal(
  session: ChaosSession,
  terminalId: string,
  { input, expected }: { input?: string; expected: readonly string[] },
): Promise<void> {
  const { stream, items } = await openAttached(session, terminalId);
  const timer = setTimeout(() => stream.reset(), ECHO_TIMEOUT_MS);
  let shown = "";
  try {
    if (input !== undefined) await stream.write(Buffer.from(input));
    if (expected.length === 0) return;
    for await (const item of items) {
      if (item.kind !== "data") continue;
      shown += Buffer.from(item.bytes).toString("utf8");
      if (expected.every((mark) => shown.includes(mark))) return;
    }
    throw new Error(`the terminal shows ${JSON.stringify(shown.slice(-400))}, expected ${expected.at(-1)}`);
  } finally {
    clearTimeout(timer);
    stream.reset();
  }
}

async function openAttached(session: ChaosSession, terminalId: string) {
  const channel = await openChannel(session.mux, terminalAttach, { terminalId });
  return { stream: channel.stream, items: channel.items() };
}
