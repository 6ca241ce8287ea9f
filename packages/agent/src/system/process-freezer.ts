import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Log } from "../log.ts";

/** Where programs live, this one among them once it starts any: they are born where it is. */
const EVERYBODY = "user";
/** Where this process goes before the others stand still, and stays until it starts a program. */
const APART = "atoll";
/** Reads of a group's state before it is taken as it is: a task that waits for its disk freezes when it wakes. */
const LOOKS = 50;
/** Programs that were born beside this one while it stood apart are few; one that forks without end shall not hold it. */
const MOVES = 256;

export interface ProcessFreezerOptions {
  /** The unified control group hierarchy. */
  root: string;
  pid: number;
  log: Log;
}

/**
 * Makes every program but this one stand still, whoever runs it, by the kernel's control groups. Between a machine's
 * restore and the moment it has entropy, clock and name of its own nothing of its user's runs. Who is root in the guest
 * may undo it for themselves; a failure is logged, and never keeps a machine from pausing or waking.
 */
export class ProcessFreezer {
  readonly #options: ProcessFreezerOptions;
  /** Frozen here, and so thawed here: a user may have frozen others. */
  readonly #frozen = new Set<string>();
  #isApart = false;

  constructor(options: ProcessFreezerOptions) {
    this.#options = options;
  }

  /** At the agent's start: an earlier life may have ended with everybody frozen. */
  prepare(): void {
    this.#attempt("making groups", () => {
      for (const group of [EVERYBODY, APART]) mkdirSync(this.#path(group), { recursive: true });
    });
    this.#frozen.add(EVERYBODY);
    this.thaw();
    this.#join();
  }

  freeze(): void {
    // Until it is seen to be so again: this time looking may fail.
    this.#isApart = false;
    this.#attempt("stepping apart", () => {
      if (!this.#isIn(APART)) this.#move(this.#options.pid, APART);
      this.#isApart = true;
    });
    // Among the others it would stand still with them.
    if (!this.#isApart) return;
    this.#attempt("moving programs", () => this.#moveOthers());
    this.#attempt("freezing programs", () => {
      const groups = readdirSync(this.#options.root, { withFileTypes: true })
        .filter((entry) => entry.isDirectory() && entry.name !== APART)
        .map(({ name }) => name);
      for (const group of groups) {
        if (this.#read(group, "cgroup.freeze") === "1") continue;
        this.#frozen.add(group);
        this.#write(group, "cgroup.freeze", "1");
      }
      for (const group of this.#frozen) this.#awaitFrozen(group);
    });
  }

  /** Of programs that are not frozen: nothing. */
  thaw(): void {
    for (const group of this.#frozen) {
      this.#attempt(`thawing ${group}`, () => this.#write(group, "cgroup.freeze", "0"));
    }
    this.#frozen.clear();
  }

  /**
   * Before a program is started. Only then: the kernel takes its time with it, emulated as much as a tenth of a whole wake.
   * Not while the others stand still, or this process would stand still with them; its programs are moved by `freeze`.
   */
  joinPrograms(): void {
    if (this.#isApart && this.#frozen.size === 0) this.#join();
  }

  #join(): void {
    this.#isApart = false;
    this.#attempt("joining programs", () => this.#move(this.#options.pid, EVERYBODY));
  }

  /** What was started while this process stood apart. */
  #moveOthers(): void {
    for (let moves = 0; moves < MOVES; moves++) {
      const pid = this.#read(APART, "cgroup.procs").split("\n").map(Number).find(this.#isOther);
      if (pid === undefined) return;
      this.#attempt(`moving ${pid}`, () => this.#move(pid, EVERYBODY));
    }
  }

  readonly #isOther = (pid: number): boolean => pid > 0 && pid !== this.#options.pid;

  #awaitFrozen(group: string): void {
    for (let looks = 0; looks < LOOKS; looks++) {
      if (this.#read(group, "cgroup.events").includes("frozen 1")) return;
    }
  }

  #isIn(group: string): boolean {
    return readFileSync(`/proc/${this.#options.pid}/cgroup`, "latin1").includes(`0::/${group}\n`);
  }

  #move(pid: number, group: string): void {
    this.#write(group, "cgroup.procs", String(pid));
  }

  #read(group: string, file: string): string {
    return readFileSync(join(this.#path(group), file), "latin1").trim();
  }

  #write(group: string, file: string, text: string): void {
    writeFileSync(join(this.#path(group), file), text);
  }

  #path(group: string): string {
    return join(this.#options.root, group);
  }

  #attempt(what: string, run: () => void): void {
    try {
      run();
    } catch (cause) {
      this.#options.log(`${what}: ${String(cause)}`);
    }
  }
}
