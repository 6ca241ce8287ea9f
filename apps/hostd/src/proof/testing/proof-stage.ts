/** What all parts of one schedule's run share: the world, the model beside it, and the life of hostd that is up. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Erasure } from "@atoll/protocol/hostd-api";
import type { WorkspaceStatus } from "@atoll/protocol/workspace-status";
import { diskRecord, type LayerRecord } from "../../disks/disk-record.ts";
import { type TemplateRecord, templateRecord } from "../../workspaces/journal/template-record.ts";
import { type ModelErasable, type ModelTemplate, type ModelWorkspace, short } from "../model.ts";
import { codeOf, ProofHost } from "../proof-host.ts";
import { hostFiles } from "../world/sim-files.ts";
import { SimHost } from "../world/sim-host.ts";
import type { SimMachine } from "../world/sim-machine.ts";
import { CONTENT_MARK, type Life, SimWorld } from "../world/sim-world.ts";

const OWNERS = 2;
const LINK_MAX_MS = 20_000;

/** What a thief took before an erasure: which layers of which disk, and their wrapped keys. */
export interface Loot {
  of: string;
  diskId: string;
  layers: LayerRecord[];
}

export class ProofStage {
  readonly world: SimWorld;
  readonly machines: SimHost;
  readonly directory: string;
  readonly workspaces: ModelWorkspace[] = [];
  readonly templates: ModelTemplate[] = [];
  readonly owners: string[];
  readonly erasedOwners = new Set<string>();
  readonly loot: Loot[] = [];
  /** What happened how often, for the report. */
  readonly counts: Record<string, number> = {};
  /** Settles what the commands of this burst left open. */
  readonly atBurstEnd: (() => void)[] = [];
  life: Life;
  host: ProofHost | undefined;
  #words = 0;

  constructor(seed: number, directory: string) {
    this.directory = directory;
    this.world = new SimWorld(seed);
    this.machines = new SimHost(this.world);
    this.life = this.world.newLife();
    this.owners = Array.from({ length: OWNERS }, () => this.uuid());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.life.die();
    await hostFiles.rm(this.directory, { recursive: true, force: true });
  }

  get running(): ProofHost {
    if (this.host === undefined) throw new Error("hostd is not up");
    return this.host;
  }

  get isBroken(): boolean {
    return this.world.violations.length > 0;
  }

  get hasFaults(): boolean {
    const { diskFull, brokenPaths } = this.world.faults;
    return diskFull || brokenPaths.length > 0;
  }

  get words(): number {
    return this.#words;
  }

  ownerAt(index: number): string {
    return this.owners[index % OWNERS] as string;
  }

  /** A file's content, or what a program remembers. */
  newWord(kind: "w" | "m"): string {
    return wordAt(kind, this.#words++);
  }

  /** Those that were given out since there were `first` of them. */
  filesSince(first: number): string[] {
    return Array.from({ length: this.#words - first }, (_, index) => wordAt("w", first + index));
  }

  count(name: string): void {
    this.counts[name] = (this.counts[name] ?? 0) + 1;
  }

  lift(): void {
    this.world.faults.diskFull = false;
    this.world.faults.brokenPaths = [];
    this.machines.setGuestAnswer({});
  }

  uuid(): string {
    const bytes = this.world.random.bytes(16);
    bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
    bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
    return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  }

  /** Starts lives until one comes up; the first may be killed on its way. */
  async open(crashAfter: number | undefined): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      if (!this.life.isFrozen) this.life.die();
      const life = this.world.newLife();
      this.life = life;
      this.host = undefined;
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
        this.count("crash in recovery");
        continue;
      }
      if (end === "hung") return this.world.violation("recovery hangs");
      try {
        this.host = await opening;
        return;
      } catch (error) {
        if (!this.hasFaults) {
          return this.world.violation(`hostd does not start: ${codeOf(error)} ${String(error)}`);
        }
        // With a broken disk it may refuse; its operator repairs that and starts it again.
        this.lift();
      }
    }
  }

  /** Must succeed, unless with one of `allowedCodes`: nothing is broken any more. */
  async ask<T>(
    name: string,
    work: () => Promise<T>,
    allowedCodes: readonly string[] = [],
  ): Promise<{ value: T } | undefined> {
    const asked = this.life.run(work);
    asked.catch(() => {});
    const end = await this.world.until(this.life, asked);
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

  /** Must be refused with `code`. */
  async askRefused(name: string, code: string, work: () => Promise<unknown>): Promise<void> {
    const answer = await this.ask(name, work, [code]);
    if (answer !== undefined) this.world.violation(`${name} was not refused`);
  }

  /** An adopted guest answers a moment after hostd is up. */
  async linked(workspaceId: string): Promise<void> {
    const isUp = () => this.running.registry.get(workspaceId).guest?.mux !== undefined;
    for (let waitedMs = 0; !isUp() && waitedMs < LINK_MAX_MS; waitedMs += 100) {
      await this.world.advance(this.life, 100);
    }
  }

  machineOf(host: ProofHost, workspaceId: string): SimMachine | undefined {
    const diskId = host.registry.find(workspaceId)?.record.disk?.diskId;
    if (diskId === undefined) return undefined;
    return [...this.machines.machines.values()].find(({ directory }) => directory?.includes(diskId));
  }

  /** For I8: everything of a disk that its owner's key would open. */
  steal(of: string, diskId: string | undefined): void {
    if (diskId === undefined) return;
    const at = join(this.directory, "workspaces", diskId);
    const disk = diskRecord.safeParse(readJson(join(at, "disk.json")));
    if (disk.success) this.loot.push({ of, diskId, layers: disk.data.layers });
  }

  /** I11: every answer about one erasure is the same, and names the key that was made at creation. */
  erased(model: ModelErasable, erasures: readonly Erasure[]): void {
    const own = erasures.filter(({ workspaceId }) => workspaceId === model.id);
    const answer = JSON.stringify(own);
    if (model.erasureAnswer !== undefined && answer !== model.erasureAnswer) {
      this.world.violation(`I6: erasing ${short(model.id)} again answers something else: ${answer}`);
    }
    model.erasureAnswer = answer;
    model.erasure = "done";
    const folders = new Set(this.folders());
    for (const { of, diskId } of this.loot) {
      if (of === model.id && folders.has(diskId)) {
        this.world.violation(`I8: ${short(of)} was said to be erased, its disk is still there`);
      }
    }
    if (model.keyCommitment === undefined) return;
    if (own.length !== 1 || own[0]?.keyCommitment !== model.keyCommitment) {
      this.world.violation(
        `I11: ${short(model.id)} had the key ${model.keyCommitment}, erased was ${answer}`,
      );
    }
    if (own[0]?.dataUnlinkedAtMs === null) this.world.violation(`I11: no end of ${short(model.id)}'s data`);
  }

  /** As the journal has it. */
  templateRecord(templateId: string): TemplateRecord | undefined {
    const path = join(this.directory, "journal/templates", `${templateId}.json`);
    return templateRecord.safeParse(readJson(path)).data;
  }

  folders(): string[] {
    return readdirSync(join(this.directory, "workspaces"));
  }

  #announced(status: WorkspaceStatus): void {
    const model = this.workspaces.find(({ workspaceId }) => workspaceId === status.workspaceId);
    if (model === undefined) return;
    const isStart = ["creating", "resuming"].includes(status.state);
    const wasStart = ["creating", "resuming"].includes(model.status?.state ?? "creating");
    if (isStart && !wasStart) model.helloMark = this.machines.nextHello;
    if (status.state === "running" && wasStart) {
      this.count("came to run");
      this.machines.checkRunning(model.workspaceId, model.helloMark);
    }
    model.announced(status);
  }
}

function wordAt(kind: "w" | "m", index: number): string {
  return `${CONTENT_MARK}${kind}${index}`;
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch {
    return undefined;
  }
}
