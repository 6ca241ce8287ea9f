/**
 * A deterministic world for hostd: whatever its code does to the outside (files, tools, machines) becomes a step, and the
 * seed decides which of the waiting steps happens next. A life of hostd can be ended before any of its steps, as `kill -9`
 * would: from then on none of its steps happens, while machines and files stay. When nothing waits, time moves on.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { closeSync } from "node:fs";
import { SeededRandom } from "./seeded-random.ts";
import { SimClock } from "./sim-clock.ts";

/** One process of hostd. */
export class Life {
  readonly world: SimWorld;
  readonly number: number;
  readonly openFiles = new Set<number>();
  /** Connections and the like that the kernel takes away with the process. */
  readonly atDeath: (() => void)[] = [];
  isDead = false;
  /** By SIGSTOP: nothing of it happens, and its timers are late. */
  isFrozen = false;
  readonly lateTimers: (() => void)[] = [];
  /** What holds for the whole process, as soon as it has its lease. */
  around: <T>(work: () => T) => T = (work) => work();
  stepCount = 0;

  constructor(world: SimWorld, number: number) {
    this.world = world;
    this.number = number;
  }

  run<T>(work: () => T): T {
    return current.run(this, () => this.around(work));
  }

  thaw(): void {
    this.isFrozen = false;
    this.run(() => {
      for (const run of this.lateTimers.splice(0)) run();
    });
  }

  die(): void {
    if (this.isDead) return;
    this.isDead = true;
    for (const descriptor of this.openFiles) closeSync(descriptor);
    this.openFiles.clear();
    this.run(() => {
      for (const end of this.atDeath.splice(0)) end();
    });
  }
}

const current = new AsyncLocalStorage<Life>();

/** The life whose code is running, if it is one's. */
export function currentLife(): Life | undefined {
  return current.getStore();
}

export interface Faults {
  /** Nothing more can be written. */
  diskFull: boolean;
  /** Paths below these cannot be read or written. */
  brokenPaths: string[];
}

interface Waiting {
  name: string;
  life: Life;
  run: () => void;
}

/** Steps that change what others find, each behind a look at the lease. What is being baked has a name of its own. */
const CHANGES = /^(?!.*\.baking-)(?:rename|link|rm|rmdir|mkdir|open .* wx|launch|adopt|reap|flattenDisk)/;
/** As names of steps are written: the last three parts of the path. */
const LEASE_LOOK = /^stat \S*\/lease\/\d+\.json$/;
/** Turns of the event loop without a step in sight after which nothing is under way any more. */
const QUIET_TURNS = 4;
/** What guests write and remember begins with it: what a test looks for where it must not be. */
export const CONTENT_MARK = "content-";
/** Of zstd: what is sealed does not show how it was packed. */
const COMPRESSED = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);
const EMPTY = Buffer.alloc(0);
/** Virtual time in which every operation must have an end: the longest deadline is two minutes. */
export const PATIENCE_MS = 900_000;

export class SimWorld {
  readonly random: SeededRandom;
  readonly clock = new SimClock();
  readonly faults: Faults = { diskFull: false, brokenPaths: [] };
  readonly violations: string[] = [];
  /** The last steps, for reports. */
  readonly trace: string[] = [];
  /** Who took the lease last. */
  #holder: Life | undefined;
  #waiting: Waiting[] = [];
  #lives = 0;
  #crash: { life: Life; steps: number } | undefined;
  #freeze: { life: Life; steps: number } | undefined;

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
  }

  newLife(): Life {
    return new Life(this, this.#lives++);
  }

  /** Ends `life` before the `steps`-th step from now. */
  crashAfter(life: Life, steps: number): void {
    this.#crash = { life, steps };
  }

  /** Stops `life` after `steps` steps from now, at the next moment when it is not between looking and leaping. */
  freezeAfter(life: Life, steps: number): void {
    this.#freeze = { life, steps };
  }

  /** I1: from now on every other life that was up changes nothing any more. */
  tookLease(life: Life): void {
    this.#holder = life;
  }

  cancelFreeze(): void {
    this.#freeze = undefined;
  }

  cancelCrash(): void {
    this.#crash = undefined;
  }

  violation(text: string): void {
    this.violations.push(text);
    this.note(`VIOLATION ${text}`);
  }

  /** I7, at the moment of writing: also what is gone again by the end lay on the disk for a while. */
  checkWritten(path: string, data: unknown): void {
    if (path.includes("/scratch/")) return;
    const bytes =
      typeof data === "string" ? Buffer.from(data) : ArrayBuffer.isView(data) ? viewOf(data) : EMPTY;
    if (bytes.includes(CONTENT_MARK)) this.violation(`I7: content of a guest lies readable in ${path}`);
    if (bytes.includes(COMPRESSED)) this.violation(`I7: what is only compressed lies in ${path}`);
  }

  note(text: string): void {
    this.trace.push(text);
    if (this.trace.length > 2000) this.trace.shift();
  }

  /** `run` happens when the seed says so, or never if the life ends before. */
  step<T>(life: Life, name: string, run: () => T): Promise<T> {
    if (life.isDead) return new Promise<never>(() => {});
    return new Promise((resolve, reject) => {
      const settle = () => {
        try {
          resolve(run());
        } catch (error) {
          reject(error);
        }
      };
      this.#waiting.push({ name, life, run: settle });
    });
  }

  /**
   * Lets the world go on until `done` is settled, `life` has ended, or virtual time is up.
   * @returns how it ended
   */
  async until(
    life: Life,
    done: Promise<unknown>,
    patienceMs = PATIENCE_MS,
  ): Promise<"done" | "crashed" | "hung"> {
    let isDone = false;
    const finish = () => {
      isDone = true;
    };
    done.then(finish, finish);
    const endMs = this.clock.nowMs + patienceMs;
    for (;;) {
      await this.#settle();
      if (life.isDead || life.isFrozen) return "crashed";
      if (isDone) return "done";
      if (this.#takeStep()) continue;
      if (!(await this.#isQuiet())) continue;
      if (isDone) return "done";
      const due = this.clock.nextDueMs;
      if (due === undefined || due > endMs) return "hung";
      this.clock.runNext(due);
    }
  }

  /** Virtual time passes, with everything that happens in it. */
  async advance(life: Life, byMs: number): Promise<void> {
    const endMs = this.clock.nowMs + byMs;
    for (;;) {
      await this.#settle();
      if (life.isDead) return;
      if (this.#takeStep() || !(await this.#isQuiet())) continue;
      if (!this.clock.runNext(endMs)) return;
    }
  }

  /** Microtasks, ticks and what streams do between them. */
  async #settle(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** Nothing waits, and nothing comes of what the event loop still has in hand. */
  async #isQuiet(): Promise<boolean> {
    for (let turn = 0; turn < QUIET_TURNS; turn++) {
      await this.#settle();
      if (this.#waiting.some(({ life }) => !life.isFrozen && !life.isDead)) return false;
    }
    return true;
  }

  /**
   * The lease is looked at right before a name on the disk changes; standing still between the two is the window that a
   * lease on a file system leaves, and it is left out here.
   */
  #freezeWhenSafe(): void {
    if (this.#freeze === undefined || this.#freeze.steps > 0) return;
    const { life } = this.#freeze;
    const isLeap = ({ name }: Waiting) => CHANGES.test(name) || LEASE_LOOK.test(name);
    if (this.#waiting.some((step) => step.life === life && isLeap(step))) return;
    this.#freeze = undefined;
    life.isFrozen = true;
    this.note(`${life.number} FROZEN`);
  }

  #takeStep(): boolean {
    this.#waiting = this.#waiting.filter(({ life }) => !life.isDead);
    this.#freezeWhenSafe();
    const able = this.#waiting.filter(({ life }) => !life.isFrozen);
    const step = able[this.random.below(able.length)];
    if (step === undefined) return false;
    this.#waiting.splice(this.#waiting.indexOf(step), 1);
    if (this.#freeze?.life === step.life && this.#freeze.steps > 0) this.#freeze.steps -= 1;
    step.life.stepCount += 1;
    if (this.#crash?.life === step.life) {
      if (this.#crash.steps === 0) {
        this.#crash = undefined;
        this.note(`${step.life.number} CRASH before ${step.name}`);
        step.life.die();
        return true;
      }
      this.#crash.steps -= 1;
    }
    this.note(`${step.life.number} ${step.name}`);
    const { number } = step.life;
    if (this.#holder !== undefined && number < this.#holder.number && CHANGES.test(step.name)) {
      this.violation(`I1: ${number} lost its lease to ${this.#holder.number}, then: ${step.name}`);
    }
    step.run();
    return true;
  }
}

function viewOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}
