/** One schedule against a fresh world: does its commands, kills and restarts hostd, and at the end looks at everything. */
import { closeSync, openSync, readdirSync, readSync, statSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { WorkspaceStatus } from "@atoll/protocol/workspace-status";
import type { Burst, Command } from "../commands.ts";
import { type ModelCheckpoint, ModelWorkspace, short } from "../model.ts";
import { codeOf, createBody, ProofHost } from "../proof-host.ts";
import { hostFiles } from "../world/sim-files.ts";
import { SimHost } from "../world/sim-host.ts";
import type { SimMachine } from "../world/sim-machine.ts";
import { type Life, PATIENCE_MS, SimWorld } from "../world/sim-world.ts";

const OWNERS = 2;
const DISPOSABLE_MS = 3_600_000;
/** A disposable workspace is gone this long after its deadline, at the latest. */
const DISPOSABLE_LATE_MS = 60_000;
const LINK_MAX_MS = 20_000;
const WORKSPACES_MAX = 6;
/** Answers that say what is the matter. `internal` does not. */
const ORIGIN_GONE = [
  "workspace.not_found",
  "workspace.deleted",
  "checkpoint.not_found",
  "workspace.not_running",
  "key.not_found",
];
const UNNAMED = new Set(["internal"]);

export class ProofRun {
  readonly world: SimWorld;
  readonly machines: SimHost;
  readonly directory: string;
  readonly workspaces: ModelWorkspace[] = [];
  readonly owners: string[];
  readonly erasedOwners = new Set<string>();
  /** What happened how often, for the report. */
  readonly counts: Record<string, number> = {};
  #life: Life;
  #host: ProofHost | undefined;
  #words = 0;
  /** Settles what the commands of this burst left open. */
  readonly #atBurstEnd: (() => void)[] = [];
  /** Something was broken during this burst. */
  #wasFaulty = false;

  static async start(seed: number): Promise<ProofRun> {
    const directory = await hostFiles.mkdtemp(join(tmpdir(), "atoll-proof-"));
    return new ProofRun(seed, directory);
  }

  private constructor(seed: number, directory: string) {
    this.directory = directory;
    this.world = new SimWorld(seed);
    this.machines = new SimHost(this.world);
    this.#life = this.world.newLife();
    this.owners = Array.from({ length: OWNERS }, () => this.#uuid());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#life.die();
    await hostFiles.rm(this.directory, { recursive: true, force: true });
  }

  /** All of a schedule. Afterwards `world.violations` says what went wrong. */
  async play(bursts: readonly Burst[]): Promise<void> {
    await this.#open(undefined);
    for (const one of bursts) {
      await this.#burst(one);
      if (this.world.violations.length > 0) return;
    }
    await this.#finish();
  }

  get #running(): ProofHost {
    if (this.#host === undefined) throw new Error("hostd is not up");
    return this.#host;
  }

  /** Starts lives until one comes up; the first may be killed on its way. */
  async #open(crashAfter: number | undefined): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      if (!this.#life.isFrozen) this.#life.die();
      const life = this.world.newLife();
      this.#life = life;
      this.#host = undefined;
      if (attempt === 0 && crashAfter !== undefined) this.world.crashAfter(life, crashAfter);
      const opening = life.run(() =>
        ProofHost.open({
          directory: this.directory,
          machines: this.machines,
          life,
          onStatus: (status) => {
            if (!life.isDead) this.#announced(status);
          },
        }),
      );
      opening.catch(() => {});
      const end = await this.world.until(life, opening);
      this.world.cancelCrash();
      if (end === "crashed") {
        this.#count("crash in recovery");
        continue;
      }
      if (end === "hung") return this.world.violation("recovery hangs");
      try {
        this.#host = await opening;
        return;
      } catch (error) {
        if (!this.#hasFaults)
          return this.world.violation(`hostd does not start: ${codeOf(error)} ${String(error)}`);
        // With a broken disk it may refuse; its operator repairs that and starts it again.
        this.#lift();
      }
    }
  }

  async #burst({ commands, crashAfter, crashAgainAfter, freezeAfter, drains }: Burst): Promise<void> {
    const life = this.#life;
    this.#wasFaulty = this.#hasFaults;
    this.world.note(
      `--- ${JSON.stringify(commands)}${crashAfter === undefined ? "" : ` crash ${crashAfter}`}`,
    );
    if (crashAfter !== undefined) this.world.crashAfter(life, crashAfter);
    else if (freezeAfter !== undefined) this.world.freezeAfter(life, freezeAfter);
    const work = Promise.all(commands.map((command) => this.#do(life, command)));
    work.catch((error: unknown) => this.world.violation(`the proof itself failed: ${String(error)}`));
    const waits = commands.map((command) => (command.kind === "advance" ? command.seconds * 1000 : 0));
    const end = await this.world.until(life, work, PATIENCE_MS + Math.max(...waits));
    this.world.cancelCrash();
    if (end === "hung") this.world.violation(`hangs: ${JSON.stringify(commands)}`);
    this.world.cancelFreeze();
    if (end === "crashed") {
      this.#count(life.isFrozen ? "freeze" : "crash");
      await this.#open(crashAgainAfter);
      await this.#goOn(life);
    }
    for (const settle of this.#atBurstEnd.splice(0)) settle();
    if (end === "done" && drains && this.world.violations.length === 0) await this.#drain();
    this.machines.checkResumes();
    this.machines.checkIdentities();
  }

  /** The one that stood still wakes up, finds that it lost, and must change nothing. */
  async #goOn(stale: Life): Promise<void> {
    if (stale.isDead || this.world.violations.length > 0) return;
    stale.thaw();
    await this.world.advance(this.#life, 60_000);
    // The process ends itself once it knows.
    stale.die();
  }

  /** As at SIGTERM: memory goes to the disk, and another hostd is started. */
  async #drain(): Promise<void> {
    this.#count("drain");
    const drained = await this.#ask("drain", async () => {
      const result = await this.#running.registry.drain();
      this.#running.registry.close();
      await this.#running.source[Symbol.asyncDispose]();
      await this.#running.lease[Symbol.asyncDispose]();
      return result;
    });
    if (drained !== undefined) await this.#open(undefined);
  }

  async #do(life: Life, command: Command): Promise<void> {
    await this.world.step(life, `do ${command.kind}`, () => {});
    this.#count(command.kind);
    try {
      await life.run(() => this.#command(life, command));
    } catch (error) {
      const code = codeOf(error);
      this.world.note(`${command.kind} answered ${code}${error instanceof Error ? ` ${error.message}` : ""}`);
      this.#count(`${command.kind}: ${code}`);
      if (UNNAMED.has(code) && !this.#wasFaulty) {
        this.world.violation(
          `${command.kind} failed without a name: ${String((error as Error).cause ?? error)}`,
        );
      }
    }
  }

  async #command(life: Life, command: Command): Promise<void> {
    const { registry } = this.#running;
    switch (command.kind) {
      case "create": {
        if (this.workspaces.length >= WORKSPACES_MAX) return;
        const ownerId = this.owners[command.owner % OWNERS] as string;
        const model = new ModelWorkspace(this.#uuid(), ownerId);
        if (this.erasedOwners.has(ownerId)) model.erasure = "asked";
        if (command.isDisposable) model.expiresAtMs = this.world.clock.nowMs + DISPOSABLE_MS;
        this.workspaces.push(model);
        const { expiresAtMs } = model;
        await registry.create(
          model.workspaceId,
          createBody({ ownerId, ...(expiresAtMs === undefined ? {} : { expiresAtMs }) }),
        );
        model.isAcknowledged = true;
        return;
      }
      case "eraseOwner": {
        const ownerId = this.owners[command.owner % OWNERS] as string;
        this.erasedOwners.add(ownerId);
        const owned = () => this.workspaces.filter((model) => model.ownerId === ownerId);
        for (const model of owned()) if (model.erasure === "none") model.erasure = "asked";
        await registry.eraseOwner(ownerId);
        for (const model of owned()) model.erasure = "done";
        return;
      }
      case "advance":
        // A time that passes while other commands run: a timer of the life, not of the harness.
        return new Promise((resolve) => void this.world.clock.schedule(command.seconds * 1000, resolve));
      case "diskFull":
        this.world.faults.diskFull = command.isOn;
        this.#wasFaulty = true;
        return;
      case "keysDown":
        this.world.faults.brokenPaths = command.isOn ? [`${this.directory}/keys`] : [];
        this.#wasFaulty = true;
        return;
      default:
    }
    const model = this.workspaces[command.at % Math.max(1, this.workspaces.length)];
    if (model === undefined) return;
    const { workspaceId } = model;
    if (command.kind === "erase") {
      if (model.erasure === "none") model.erasure = "asked";
      const answer = await registry.erase(workspaceId);
      model.erasure = "done";
      if (
        model.erasureAnswer !== undefined &&
        JSON.stringify(answer) !== JSON.stringify(model.erasureAnswer)
      ) {
        this.world.violation(`I6: erasing ${short(workspaceId)} again answers something else`);
      }
      model.erasureAnswer = answer;
      return;
    }
    const workspace = registry.get(workspaceId);
    const since = model.restoreCount;
    switch (command.kind) {
      case "write": {
        const word = `w${this.#words++}`;
        model.wordAsked(word);
        await this.#running.run(workspaceId, "write", word);
        if (!life.isDead) model.wordSaved(word, since);
        return;
      }
      case "remember": {
        const word = `m${this.#words++}`;
        model.memoryAsked(word);
        await this.#running.run(workspaceId, "remember", word);
        if (!life.isDead) model.memoryTaken(word, since);
        return;
      }
      case "checkpoint":
        return this.#checkpoint(model, command.withMemory);
      case "restore": {
        const target = pick(model.checkpoints, command.checkpoint);
        return target === undefined ? undefined : this.#restore(life, model, target);
      }
      case "deleteCheckpoint": {
        const target = pick(model.checkpoints, command.checkpoint);
        if (target === undefined) return;
        target.isDeleteAsked = true;
        return workspace.deleteCheckpoint(target.checkpointId);
      }
      case "fork":
        return this.#fork(model, command);
      case "keepAwake":
        return workspace.keepAwake(command.count * 3600);
      case "look":
        // Beside other commands the answer cannot be judged; that it comes can.
        return void (await this.#running.run(workspaceId, "disk"));
      case "pause":
        return workspace.pause("requested");
      case "start":
        return workspace.start("requested");
      case "stop":
        // Stopping gives memory up.
        model.isLossAnnounced = true;
        return workspace.stop("requested");
      case "sessions":
        return workspace.setSessionCount(command.count);
      case "kill":
        this.#machineOf(workspaceId)?.end({ reason: "killed", detail: "by the proof" });
        return;
      case "suspend":
        this.#machineOf(workspaceId)?.suspend(true);
        return;
      case "damage":
        this.#damage(workspaceId);
        return;
    }
  }

  async #checkpoint(model: ModelWorkspace, withMemory: boolean): Promise<void> {
    const checkpointId = this.#uuid();
    const { capture, end } = model.capture();
    this.#atBurstEnd.push(end);
    const kept = Object.assign(capture, {
      checkpointId,
      hasMemory: false,
      isAcknowledged: false,
      isDeleteAsked: false,
    });
    model.checkpoints.set(checkpointId, kept);
    const workspace = this.#running.registry.get(model.workspaceId);
    const info = await workspace.checkpoint(checkpointId, { name: "proof", withMemory });
    kept.hasMemory = info.hasMemory;
    kept.isAcknowledged = true;
    end();
  }

  async #restore(life: Life, model: ModelWorkspace, target: ModelCheckpoint): Promise<void> {
    const first = this.#words;
    const newWords = () => Array.from({ length: this.#words - first }, (_, index) => `w${first + index}`);
    const safety = model.capture();
    const safetyCheckpointId = this.#uuid();
    this.#atBurstEnd.push(safety.end);
    model.restoreBegun(target);
    let isDone = false;
    const settle = (isCertain: boolean) => {
      if (isDone) return;
      isDone = true;
      model.restoreEnded(isCertain && model.restoresInFlight === 1 ? target : undefined, newWords());
    };
    // If hostd ends before it answers.
    this.#atBurstEnd.push(() => settle(false));
    try {
      const workspace = this.#running.registry.get(model.workspaceId);
      await workspace.restore({ checkpointId: target.checkpointId, safetyCheckpointId });
      if (!life.isDead) settle(model.restoresInFlight === 1);
    } catch (error) {
      settle(false);
      throw error;
    }
  }

  async #fork(source: ModelWorkspace, command: Command & { kind: "fork" }): Promise<void> {
    if (this.workspaces.length >= WORKSPACES_MAX) return;
    const ownerId = this.owners[command.owner % OWNERS] as string;
    const checkpoint = command.checkpoint === null ? undefined : pick(source.checkpoints, command.checkpoint);
    const model = new ModelWorkspace(this.#uuid(), ownerId);
    model.isFork = true;
    if (this.erasedOwners.has(ownerId)) model.erasure = "asked";
    // One that was not answered may begin at any later start.
    const begun = source.forkedBy(model, checkpoint);
    this.workspaces.push(model);
    const { workspaceId } = source;
    const origin =
      checkpoint === undefined
        ? { kind: "workspace" as const, workspaceId }
        : { kind: "checkpoint" as const, workspaceId, checkpointId: checkpoint.checkpointId };
    await this.#running.registry.create(model.workspaceId, createBody({ ownerId, origin }));
    model.isAcknowledged = true;
    begun();
  }

  /** Everything is repaired; then each workspace must be what its user was told. */
  async #finish(): Promise<void> {
    this.#lift();
    // What stood still goes on.
    for (const machine of this.machines.machines.values()) if (machine.isSuspended) machine.suspend(false);
    await this.world.advance(this.#life, 60_000);
    await this.#lookAtAll();
    // The machines outlive hostd, and nothing is lost by its end.
    await this.#open(undefined);
    await this.#lookAtAll();
    await this.#checkLeftovers();
    await this.#checkErased();
    await this.#checkCheckpoints();
    await this.#checkRepeats();
    this.machines.checkResumes();
    this.machines.checkIdentities();
  }

  async #lookAtAll(): Promise<void> {
    for (const model of this.workspaces) {
      if (this.world.violations.length > 0) return;
      const { registry } = this.#running;
      const workspace = registry.find(model.workspaceId);
      this.#checkExpiry(model);
      if (model.erasure !== "none") {
        await this.#lookAtErased(model);
        continue;
      }
      if (workspace === undefined) {
        if (model.isAcknowledged) this.world.violation(`${short(model.workspaceId)} is gone`);
        continue;
      }
      const isPromised = model.isAcknowledged || !model.isFork;
      // What it was to begin from may be gone by now; nobody was told that it would be there.
      const refused = isPromised ? [] : ORIGIN_GONE;
      const started = await this.#ask(
        `start ${short(model.workspaceId)}`,
        () => workspace.start("requested"),
        refused,
      );
      if (started === undefined) continue;
      await this.#linked(model.workspaceId);
      const disk = await this.#ask("read the disk", () => this.#running.run(model.workspaceId, "disk"));
      const memory = await this.#ask("read the memory", () => this.#running.run(model.workspaceId, "memory"));
      if (disk === undefined || memory === undefined) continue;
      const wrong = [
        model.diskSeen(JSON.parse(disk.value) as string[]),
        model.memorySeen(JSON.parse(memory.value) as string[]),
      ];
      for (const text of wrong) if (text !== undefined) this.world.violation(text);
    }
  }

  /** I25 */
  #checkExpiry(model: ModelWorkspace): void {
    const { expiresAtMs, workspaceId } = model;
    if (expiresAtMs === undefined || this.world.clock.nowMs < expiresAtMs) return;
    const state = this.#running.registry.find(workspaceId)?.record.state;
    const isLate = this.world.clock.nowMs > expiresAtMs + DISPOSABLE_LATE_MS;
    if (isLate && state !== undefined && state !== "erased") {
      this.world.violation(`I25: ${short(workspaceId)} is ${state} after its deadline`);
    }
    model.erasure = state === "erased" || state === undefined ? "done" : "asked";
  }

  /** An adopted guest answers a moment after hostd is up. */
  async #linked(workspaceId: string): Promise<void> {
    const isUp = () => this.#running.registry.get(workspaceId).guest?.mux !== undefined;
    for (let waitedMs = 0; !isUp() && waitedMs < LINK_MAX_MS; waitedMs += 100) {
      await this.world.advance(this.#life, 100);
    }
  }

  /** An erasure that was asked for is finished by asking again, whatever came between. */
  async #lookAtErased(model: ModelWorkspace): Promise<void> {
    const state = this.#running.registry.find(model.workspaceId)?.record.state;
    if (model.erasure === "done" && state !== undefined && state !== "erased") {
      return this.world.violation(`${short(model.workspaceId)} was erased and is ${state}`);
    }
    const answer = await this.#ask("erase again", () => this.#running.registry.erase(model.workspaceId));
    if (answer === undefined) return;
    model.erasure = "done";
    if (
      model.erasureAnswer !== undefined &&
      JSON.stringify(answer.value) !== JSON.stringify(model.erasureAnswer)
    ) {
      this.world.violation(`I6: erasing ${short(model.workspaceId)} again answers something else`);
    }
    model.erasureAnswer = answer.value;
  }

  /** I5: whatever is on the host belongs to a record or to the pool. */
  async #checkLeftovers(): Promise<void> {
    const { registry, source } = this.#running;
    await this.world.advance(this.#life, 10_000);
    const records = registry.list().map(({ record }) => record);
    const disks = new Set(
      records.flatMap(({ disk, state }) => (disk === null || state === "erased" ? [] : [disk.diskId])),
    );
    const folders = readdirSync(join(this.directory, "workspaces"));
    const strangers = folders.filter((name) => !disks.has(name));
    if (strangers.length > source.readyCount) {
      this.world.violation(`I5: ${strangers.length} disks are nobody's, the pool has ${source.readyCount}`);
    }
    const named = new Set(records.flatMap(({ machine }) => (machine === null ? [] : [machine.machineId])));
    const unnamed = [...this.machines.machines.values()].filter(({ record }) => !named.has(record.machineId));
    if (unnamed.length > source.readyCount) {
      this.world.violation(
        `I5: machines ${unnamed.map(({ record }) => record.machineId)} are nobody's, the pool has ${source.readyCount}`,
      );
    }
    const files = readdirSync(this.directory, { recursive: true }).map(String);
    const temporary = files.filter((name) => /\.tmp$|\.baking-|scratch\//.test(name));
    if (temporary.length > 0) this.world.violation(`I5: left over: ${temporary}`);
  }

  /** I8, I9, I10: what was erased cannot be opened, what was not can. */
  async #checkErased(): Promise<void> {
    const { keys, registry } = this.#running;
    for (const { workspaceId, ownerId, erasure, isAcknowledged } of this.workspaces) {
      const key = await this.#life.run(async () => {
        const asked = keys
          .unwrapWorkspaceKey({ workspaceId, ownerId })
          .catch((error: unknown) => codeOf(error));
        await this.world.until(this.#life, asked);
        return asked;
      });
      if (erasure === "done" && key !== "key.not_found") {
        this.world.violation(
          `I9: the key of ${short(workspaceId)} answers ${typeof key === "string" ? key : "a key"}`,
        );
      }
      if (erasure === "none" && isAcknowledged && typeof key === "string") {
        this.world.violation(`I10: the key of ${short(workspaceId)} is ${key}`);
      }
      const record = registry.find(workspaceId)?.record;
      if (erasure === "done" && record !== undefined && record.state !== "erased") {
        this.world.violation(`${short(workspaceId)} was erased and is ${record.state}`);
      }
    }
  }

  /** Those that were promised are there, and each brings back what it froze. */
  async #checkCheckpoints(): Promise<void> {
    for (const model of this.workspaces) {
      const workspace = this.#running.registry.find(model.workspaceId);
      if (workspace === undefined || model.erasure !== "none" || !model.isAcknowledged) continue;
      const listed = await this.#ask("list checkpoints", () => workspace.listCheckpoints());
      if (listed === undefined) return;
      const ids = new Set(listed.value.checkpoints.map(({ checkpointId }) => checkpointId));
      for (const checkpoint of model.checkpoints.values()) {
        const { checkpointId, isAcknowledged, isDeleteAsked } = checkpoint;
        if (this.world.violations.length > 0) return;
        if (isAcknowledged && !isDeleteAsked && !ids.has(checkpointId)) {
          this.world.violation(`checkpoint ${short(checkpointId)} of ${short(model.workspaceId)} is gone`);
        }
        if (!ids.has(checkpointId)) continue;
        const safetyCheckpointId = this.#uuid();
        const restored = await this.#ask(`restore ${short(checkpointId)}`, () =>
          workspace.restore({ checkpointId, safetyCheckpointId }),
        );
        if (restored === undefined) return;
        model.contents = checkpoint.contents;
        model.isLossAnnounced = true;
        const started = await this.#ask("start", () => workspace.start("requested"));
        if (started === undefined) return;
        await this.#linked(model.workspaceId);
        const disk = await this.#ask("read the disk", () => this.#running.run(model.workspaceId, "disk"));
        if (disk === undefined) return;
        const wrong = model.diskSeen(JSON.parse(disk.value) as string[]);
        if (wrong !== undefined) this.world.violation(`restored ${short(checkpointId)}: ${wrong}`);
      }
    }
  }

  /** I6: doing it again changes nothing. */
  async #checkRepeats(): Promise<void> {
    for (const model of this.workspaces) {
      const workspace = this.#running.registry.find(model.workspaceId);
      if (workspace === undefined || model.erasure !== "none" || this.world.violations.length > 0) continue;
      // A fork that nobody was promised and that could not begin.
      if (model.isFork && !model.isAcknowledged && workspace.status.state !== "running") continue;
      for (const work of [
        () => workspace.pause("requested"),
        () => workspace.start("requested"),
        () => workspace.stop("requested"),
      ]) {
        if ((await this.#ask("once", work)) === undefined) return;
        const { state, generation } = workspace.status;
        if ((await this.#ask("twice", work)) === undefined) return;
        if (workspace.status.state !== state || workspace.status.generation !== generation) {
          this.world.violation(`I6: ${state} ${generation} became ${workspace.status.state} by repeating`);
        }
      }
    }
  }

  /** Must succeed: nothing is broken any more. */
  async #ask<T>(
    name: string,
    work: () => Promise<T>,
    allowedCodes: readonly string[] = [],
  ): Promise<{ value: T } | undefined> {
    const asked = this.#life.run(work);
    asked.catch(() => {});
    const end = await this.world.until(this.#life, asked);
    if (end !== "done") {
      this.world.violation(`${name}: ${end}`);
      return undefined;
    }
    try {
      return { value: await asked };
    } catch (error) {
      if (allowedCodes.includes(codeOf(error))) return undefined;
      this.world.violation(`${name}: ${codeOf(error)} ${String(error)}`);
      return undefined;
    }
  }

  #announced(status: WorkspaceStatus): void {
    this.workspaces.find(({ workspaceId }) => workspaceId === status.workspaceId)?.announced(status);
  }

  #machineOf(workspaceId: string): SimMachine | undefined {
    const diskId = this.#running.registry.find(workspaceId)?.record.disk?.diskId;
    if (diskId === undefined) return undefined;
    return [...this.machines.machines.values()].find(({ directory }) => directory?.includes(diskId));
  }

  /** One byte of the sealed memory turns. */
  #damage(workspaceId: string): void {
    const diskId = this.#running.registry.find(workspaceId)?.record.disk?.diskId;
    if (diskId === undefined) return;
    const folder = join(this.directory, "workspaces", diskId, "snapshots");
    for (const name of statSync(folder, { throwIfNoEntry: false }) ? readdirSync(folder) : []) {
      if (!name.endsWith(".sealed")) continue;
      const file = openSync(join(folder, name), "r+");
      const byte = Buffer.alloc(1);
      const { size } = statSync(join(folder, name));
      if (size > 0) {
        const position = this.world.random.below(size);
        readSync(file, byte, 0, 1, position);
        byte[0] = (byte[0] ?? 0) ^ 1;
        writeSync(file, byte, 0, 1, position);
      }
      closeSync(file);
    }
  }

  get #hasFaults(): boolean {
    const { diskFull, brokenPaths } = this.world.faults;
    return diskFull || brokenPaths.length > 0;
  }

  #lift(): void {
    this.world.faults.diskFull = false;
    this.world.faults.brokenPaths = [];
  }

  #count(name: string): void {
    this.counts[name] = (this.counts[name] ?? 0) + 1;
  }

  #uuid(): string {
    const bytes = this.world.random.bytes(16);
    bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
    bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
    return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  }
}

function pick<T>(map: ReadonlyMap<string, T>, index: number): T | undefined {
  return [...map.values()][index % Math.max(1, map.size)];
}
