/**
 * What must survive: files on the disk and in memory with known hashes, a process that counts, an open terminal. The
 * counter runs without forking, so that it is no work that keeps the workspace awake.
 */
import { createHash } from "node:crypto";
import type { SeededRandom } from "@atoll/hostd/proof/world/seeded-random";
import { AtollError } from "@atoll/protocol/atoll-error";
import { call, openChannel } from "@atoll/protocol/call";
import { terminalAttach, terminalOpen, terminalWatch } from "@atoll/protocol/messages/terminal";
import type { Mux } from "@atoll/protocol/mux";
import { GUEST_TIMEOUT_MS, runInGuest } from "./in-guest.ts";

const FOLDER = "/workspace/chaos";
const MEMORY = "/dev/shm/chaos";
const COUNTER = [
  `exec 3<>${MEMORY}/clock.fifo; n=0`,
  `while :; do n=$((n+1)); echo "$$ $n" > ${MEMORY}/count; read -t 0.25 -u 3 x; done`,
].join("; ");
const SET_UP = `rm -rf ${MEMORY} && mkdir -p ${FOLDER} ${MEMORY} && mkfifo ${MEMORY}/clock.fifo && printf %s "$1" > ${MEMORY}/kept`;
/** Between truncation and writing the count is empty for a moment. */
const COUNT = `seen() { until { read -r p n < ${MEMORY}/count; } 2>/dev/null && [ -n "$n" ]; do sleep 0.05; done; }`;
const SAVE = `${COUNT}; printf %s "$2" > "$1" && sync "$1" && { seen; echo "$p $n"; }`;
/** The time, the count and a later one, then hashes of what is named. */
const LOOK = [
  `${COUNT}; echo "clock $(date +%s%N)"`,
  `if [ -e ${MEMORY}/count ]; then seen; echo "count $p $n"; first=$n; tries=0`,
  "while [ $n = $first ] && [ $tries -lt 200 ]; do sleep 0.05; tries=$((tries+1)); seen; done",
  'echo "count $p $n"; fi',
  'sha256sum -- "$@" 2>&1 || true',
].join("\n");
const FILE_BYTES = 20_000;
/** Names are used again: as many files as are looked at in a moment. */
const FILES_MAX = 60;
const MARKS_SHOWN = 20;
/** I14. */
const CLOCK_TOLERANCE_MS = 1000;

interface Memory {
  counterPid: number;
  count: number;
  terminalId: string;
  terminalPid: number;
}

/** What became of memory; `no terminals`: all but the agent's own, which ended with it. */
export type MemoryState = "there" | "gone" | "no terminals";

export class Workload {
  readonly #random: SeededRandom;
  /** Saved and acknowledged: path and SHA-256. */
  readonly #files = new Map<string, string>();
  #memory: Memory | undefined;
  #keptHash = "";
  #marks: string[] = [];
  #saved = 0;

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  get savedCount(): number {
    return this.#saved;
  }

  /** A process that counts, a file in memory, a terminal: all that a lost memory takes. */
  async startMemory(mux: Mux): Promise<void> {
    const text = this.#newText();
    await runInGuest(mux, "bash", "-c", SET_UP, "sh", text);
    await runInGuest(mux, "bash", "-c", `setsid bash -c '${COUNTER}' >/dev/null 2>&1 </dev/null &`);
    this.#keptHash = sha256(text);
    this.#memory = { counterPid: 0, count: 0, terminalId: "", terminalPid: 0 };
    await this.startTerminal(mux);
    const output = await runInGuest(mux, "sh", "-c", `${COUNT}; seen; echo "$p $n"`);
    this.#memory = { ...this.#memory, ...parseCount(output) };
  }

  async startTerminal(mux: Mux): Promise<void> {
    const { terminalId, pid } = await call(mux, terminalOpen, { cols: 80, rows: 24 });
    if (this.#memory !== undefined) this.#memory = { ...this.#memory, terminalId, terminalPid: pid };
    this.#marks = [];
    await this.#typeMark(mux, terminalId);
  }

  /** One more file that is safe from here on, and how far the counter has come. */
  async save(mux: Mux): Promise<void> {
    const path = `${FOLDER}/file-${this.#saved % FILES_MAX}`;
    const text = this.#newText();
    // From here on either may be there; nobody is asked before it is acknowledged.
    const count = parseCount(await runInGuest(mux, "sh", "-c", SAVE, "sh", path, text));
    this.#files.set(path, sha256(text));
    this.#saved += 1;
    if (this.#memory !== undefined) this.#memory = { ...this.#memory, ...count };
  }

  /** @throws Error when anything saved is not what it was, or memory is neither there nor gone */
  async check(mux: Mux): Promise<MemoryState> {
    const memory = this.#memory;
    const askedAtMs = Date.now();
    const paths = [...this.#files.keys()];
    const output = await runInGuest(mux, "sh", "-c", LOOK, "sh", `${MEMORY}/kept`, ...paths);
    const lines = output.split("\n");
    checkClock(lines, askedAtMs);
    const hashes = new Map(lines.map((line): [string, string] => [line.slice(66), line.slice(0, 64)]));
    const wrong = [...this.#files].filter(([path, hash]) => hashes.get(path) !== hash).map(([path]) => path);
    if (wrong.length > 0) throw new Error(`saved files are not what they were: ${wrong}\n${output}`);
    const counts = lines.filter((line) => line.startsWith("count ")).map((line) => parseCount(line.slice(6)));
    const [first, later] = counts;
    if (memory === undefined || first === undefined || later === undefined) return "gone";
    if (hashes.get(`${MEMORY}/kept`) !== this.#keptHash)
      throw new Error("a file in memory is not what it was");
    if (first.counterPid !== memory.counterPid || first.count < memory.count) {
      throw new Error(`the counter went from ${JSON.stringify(memory)} to ${JSON.stringify(first)}`);
    }
    if (later.count <= first.count) throw new Error(`the counter stands still at ${first.count}`);
    this.#memory = { ...memory, ...later };
    return (await this.#terminalGoesOn(mux, memory)) ? "there" : "no terminals";
  }

  /** False when its agent says that there is none of that name. */
  async #terminalGoesOn(mux: Mux, { terminalId, terminalPid }: Memory): Promise<boolean> {
    const watch = await openChannel(mux, terminalWatch, {});
    watch.stream.end();
    const terminal = watch.result.terminals.find((one) => one.terminalId === terminalId);
    watch.stream.reset();
    try {
      await this.#typeMark(mux, terminalId);
    } catch (error) {
      const isUnknown = error instanceof AtollError && error.code === "terminal.not_found";
      if (isUnknown && terminal === undefined) return false;
      throw error;
    }
    if (terminal?.pid === terminalPid && terminal.exit === undefined) return true;
    throw new Error(`the terminal is ${JSON.stringify(terminal)}, it was ${terminalId} of ${terminalPid}`);
  }

  #newText(): string {
    return this.#random.bytes(FILE_BYTES / 2).toString("hex");
  }

  /** Types a command, and waits for what it prints below everything that was printed before. */
  async #typeMark(mux: Mux, terminalId: string): Promise<void> {
    const number = 1 + this.#random.below(1_000_000);
    const mark = `mark-${number * 2}`;
    const expected = [...this.#marks.slice(-MARKS_SHOWN), mark];
    const channel = await openChannel(mux, terminalAttach, { terminalId });
    const timer = setTimeout(() => channel.stream.reset(), GUEST_TIMEOUT_MS);
    let shown = "";
    try {
      await channel.stream.write(Buffer.from(`echo mark-$((${number}*2))\n`));
      for await (const item of channel.items()) {
        if (item.kind !== "data") continue;
        shown += Buffer.from(item.bytes).toString("utf8");
        if (!isInOrder(shown, expected)) continue;
        this.#marks.push(mark);
        return;
      }
      throw new Error(`the terminal shows ${JSON.stringify(shown.slice(-400))}, expected ${expected}`);
    } finally {
      clearTimeout(timer);
      channel.stream.reset();
    }
  }
}

function isInOrder(text: string, expected: readonly string[]): boolean {
  let at = 0;
  for (const mark of expected) {
    const found = text.indexOf(mark, at);
    if (found === -1) return false;
    at = found + mark.length;
  }
  return true;
}

/** The guest's time is the host's again before any of its programs runs on. */
function checkClock(lines: readonly string[], askedAtMs: number): void {
  const text = lines.find((line) => line.startsWith("clock "));
  const guestMs = Number(text?.slice(6)) / 1e6;
  const isRight = guestMs > askedAtMs - CLOCK_TOLERANCE_MS && guestMs < Date.now() + CLOCK_TOLERANCE_MS;
  if (!isRight) throw new Error(`the guest's clock is ${guestMs - askedAtMs} ms from the host's (${text})`);
}

function parseCount(text: string): { counterPid: number; count: number } {
  const [counterPid, count] = text.trim().split(" ").map(Number);
  if (counterPid === undefined || !Number.isInteger(count)) throw new Error(`no count: ${text}`);
  return { counterPid, count: count as number };
}

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
