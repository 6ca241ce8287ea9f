/** One schedule against a fresh world: plays its commands, kills, stops and restarts hostd, and at the end looks at everything. */
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Burst, Command } from "../commands.ts";
import { codeOf, type ProofHost } from "../proof-host.ts";
import { hostFiles } from "../world/sim-files.ts";
import { type Life, PATIENCE_MS, type SimWorld } from "../world/sim-world.ts";
import { FinalLook } from "./final-look.ts";
import { playCommand } from "./play-command.ts";
import { ProofStage } from "./proof-stage.ts";

/** Says nothing of what is the matter, so nobody may ever be told it. */
const UNNAMED = "internal";
/** The longest that a stale hostd may take to notice, and to end what it was at. */
const STALE_MS = 60_000;

export class ProofRun {
  readonly #stage: ProofStage;

  static async start(seed: number): Promise<ProofRun> {
    const directory = await hostFiles.mkdtemp(join(tmpdir(), "atoll-proof-"));
    return new ProofRun(new ProofStage(seed, directory));
  }

  private constructor(stage: ProofStage) {
    this.#stage = stage;
  }

  get world(): SimWorld {
    return this.#stage.world;
  }

  /** What happened how often. */
  get counts(): Readonly<Record<string, number>> {
    return this.#stage.counts;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stage[Symbol.asyncDispose]();
  }

  /** All of a schedule. Afterwards `world.violations` says what went wrong. */
  async play(bursts: readonly Burst[]): Promise<void> {
    const stage = this.#stage;
    await stage.open(undefined);
    for (const one of bursts) {
      await this.#burst(one);
      if (stage.isBroken) return;
    }
    await new FinalLook(stage).look();
  }

  async #burst(burst: Burst): Promise<void> {
    const { commands, crashAfter, takesAll, crashAgainAfter, freezeAfter, drains, looks } = burst;
    const stage = this.#stage;
    const { world, machines, life } = stage;
    const host = stage.running;
    world.note(`--- ${JSON.stringify(commands)}${crashAfter === undefined ? "" : ` crash ${crashAfter}`}`);
    if (crashAfter !== undefined) world.crashAfter(life, crashAfter);
    else if (freezeAfter !== undefined) world.freezeAfter(life, freezeAfter);
    const work = Promise.all(commands.map((command) => this.#do(life, host, command)));
    work.catch((error: unknown) => world.violation(`the proof itself failed: ${String(error)}`));
    const waits = commands.map((command) => (command.kind === "advance" ? command.seconds * 1000 : 0));
    const end = await world.until(life, work, PATIENCE_MS + Math.max(...waits));
    world.cancelCrash();
    if (end === "hung") world.violation(`hangs: ${JSON.stringify(commands)}`);
    world.cancelFreeze();
    if (end === "crashed") {
      stage.count(life.isFrozen ? "freeze" : takesAll ? "crash of the host" : "crash");
      if (life.isDead && takesAll) machines.crash();
      await stage.open(crashAgainAfter);
      await this.#goOn(life);
    }
    for (const settle of stage.atBurstEnd.splice(0)) settle();
    if (end === "done" && drains && !stage.isBroken) await this.#drain();
    machines.checkResumes();
    machines.checkIdentities();
    if (looks !== undefined && !stage.isBroken) await new FinalLook(stage).glance(looks);
  }

  /** The one that stood still wakes up, finds that it lost, and must change nothing. */
  async #goOn(stale: Life): Promise<void> {
    const stage = this.#stage;
    if (stale.isDead || stage.isBroken) return;
    stale.thaw();
    await stage.world.advance(stage.life, STALE_MS);
    if (!stale.isDead) stage.world.violation("I1: a hostd that lost its lease goes on as if it had not");
    stale.die();
  }

  async #drain(): Promise<void> {
    const stage = this.#stage;
    stage.count("drain");
    // What a broken disk keeps is not let go of in order; the next life finds it.
    const drained = await stage.ask(
      "drain",
      () => stage.running.drain(),
      stage.hasFaults ? ["internal"] : [],
    );
    if (drained !== undefined || stage.hasFaults) await stage.open(undefined);
  }

  async #do(life: Life, host: ProofHost, command: Command): Promise<void> {
    const stage = this.#stage;
    await stage.world.step(life, `do ${command.kind}`, () => {});
    stage.count(command.kind);
    try {
      await life.run(() => playCommand(stage, life, host, command));
    } catch (error) {
      const code = codeOf(error);
      stage.world.note(
        `${command.kind} answered ${code}${error instanceof Error ? ` ${error.message}` : ""}`,
      );
      stage.count(`${command.kind}: ${code}`);
      if (code === UNNAMED) {
        stage.world.violation(
          `${command.kind} failed without a name: ${String((error as Error).cause ?? error)}`,
        );
      }
    }
  }
}
