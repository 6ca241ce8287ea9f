/**
 * What is made before anyone asks: the first plan's template, machines of it, empty layers for forks and checkpoints, and
 * processes for forks of what runs.
 */
import type { Clock } from "@atoll/base/clock";
import type { MachineSize } from "@atoll/protocol/plans";
import type { ReadyLayers } from "../disks/ready-layers.ts";
import type { ImageSource } from "../machines/image-source.ts";
import type { TemplateStore } from "../templates/template-store.ts";
import {
  type Claimant,
  MachinePool,
  type MachinePoolOptions,
  type PoolItem,
  type PoolKind,
} from "./machine-pool.ts";
import type { WaitingForks } from "./waiting-forks.ts";

/** A refill right after a claim would take a core from the very start that claimed. */
const REFILL_AFTER_MS = 1500;
/** While people wait for starts they have the cores, but not for ever: what is ready is what makes starts quick. */
const REFILL_WITHIN_MS = 60_000;
/** Forks and checkpoints come in bursts, and one of these is half a megabyte and some milliseconds of a core. */
const LAYERS_READY_PER_MACHINE = 16;
/** Of sizes that were asked for but are not the warm one. */
const OTHER_SIZES_READY = 1;

export interface ReadyMachinesOptions extends MachinePoolOptions {
  images: ImageSource;
  templates: TemplateStore;
  layers: ReadyLayers;
  forks: WaitingForks;
  /** Baked at start, and `poolSize` machines of it kept ready. */
  warm: { image: string; size: MachineSize };
  poolSize: number;
  clock: Clock;
  /** Whether anybody waits for a start. */
  isStarting?: (() => boolean) | undefined;
}

export class ReadyMachines implements AsyncDisposable {
  readonly #options: ReadyMachinesOptions;
  readonly #pool: MachinePool;
  #templateState: "baking" | "ready" | "failed" = "baking";
  #warmTemplateId: string | undefined;
  #cancelRefill = () => {};
  /** Monotonic; while something was claimed and not yet made up for. */
  #refillByMs: number | undefined;
  #warming: Promise<void> | undefined;
  #filling: Promise<void> | undefined;

  constructor(options: ReadyMachinesOptions) {
    this.#options = options;
    this.#pool = new MachinePool(options);
  }

  get readyCount(): number {
    return this.#pool.readyCount;
  }

  get readyMemoryMb(): number {
    return this.#pool.readyMemoryMb + this.#options.forks.readyMemoryMb;
  }

  get diskIds(): string[] {
    return [...this.#pool.diskIds, ...this.#options.forks.diskIds];
  }

  get templateState(): "baking" | "ready" | "failed" {
    return this.#templateState;
  }

  get isWarming(): boolean {
    return this.#warming !== undefined;
  }

  /** Bakes the first template and begins to fill; once. */
  warm(): void {
    this.#warming ??= this.#warm();
  }

  /** Resolves when all that is made ahead for now is there, or making it has failed. */
  async settled(): Promise<void> {
    await this.#warming;
    await this.#filling;
  }

  async kindFor(imageName: string, size: MachineSize): Promise<PoolKind> {
    const image = await this.#options.images.byName(imageName);
    return { image, template: await this.#options.templates.provide(image, size) };
  }

  /** A ready machine of this kind, or one made now. Its caller says by `refillSoon` when the start is through. */
  claim(kind: PoolKind, claimant: Claimant): Promise<PoolItem> {
    return this.#pool.claim(kind, claimant);
  }

  /** @param kind claimed just now: one of it is kept ready from here on. */
  refillSoon(kind?: PoolKind): void {
    if (kind !== undefined && kind.template.templateId !== this.#warmTemplateId) {
      this.#pool.keepAskedFor(kind, OTHER_SIZES_READY);
    }
    this.#refillByMs ??= this.#options.clock.monotonic() + REFILL_WITHIN_MS;
    this.#scheduleRefill(this.#refillByMs);
  }

  /** After the signal that the makers got is aborted. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#cancelRefill();
    await this.#warming;
    await this.#pool[Symbol.asyncDispose]();
  }

  #scheduleRefill(byMs: number): void {
    const { clock, isStarting = () => false } = this.#options;
    this.#cancelRefill();
    const delayMs = Math.max(0, Math.min(REFILL_AFTER_MS, byMs - clock.monotonic()));
    this.#cancelRefill = clock.schedule(delayMs, () => {
      if (isStarting() && clock.monotonic() < byMs) return this.#scheduleRefill(byMs);
      this.#refillByMs = undefined;
      this.#refill();
    });
  }

  async #warm(): Promise<void> {
    const { warm, poolSize, layers, onFault } = this.#options;
    try {
      const kind = await this.kindFor(warm.image, warm.size);
      this.#templateState = "ready";
      this.#warmTemplateId = kind.template.templateId;
      this.#pool.keep(kind, poolSize);
      layers.keep(warm.size.diskMb, poolSize * LAYERS_READY_PER_MACHINE);
      this.#refill();
    } catch (error) {
      this.#templateState = "failed";
      onFault(error);
    }
  }

  /** Machines first: a create waits for one of these, a fork can make what it needs itself. */
  #refill(): void {
    this.#pool.refill();
    this.#filling = this.#fillTheRest();
  }

  async #fillTheRest(): Promise<void> {
    await this.#pool.settled();
    const { layers, forks } = this.#options;
    for (const shelf of [layers, forks]) {
      shelf.refill();
      await shelf.settled();
    }
  }
}
