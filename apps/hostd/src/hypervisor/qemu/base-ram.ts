/**
 * The files that guests' RAM is a private view of: a template's, an empty one, or a saved state that was unpacked for many.
 * Of the last each machine has names of its own, so that the kernel keeps it for as long as any of them lives.
 */
import { randomBytes } from "node:crypto";
import { link, mkdir, open, readdir, rm, stat, statfs, truncate } from "node:fs/promises";
import { join } from "node:path";
import { AtollError } from "@atoll/protocol/atoll-error";
import {
  baseOf,
  type LaunchSpec,
  type MachineRecord,
  templateOf,
  type UnpackedState,
  type UnpackOptions,
} from "../hypervisor.ts";
import { QemuUnpackedState, UNPACKED_FILES } from "./unpacked-state.ts";

type BaseFiles = Pick<MachineRecord, "baseId" | "baseRamPath" | "basePagesPath">;

/** What unpacking leaves free of memory-backed space at least. */
const SPARED_MB = 64;

export interface BaseRamOptions {
  /** For the empty files that machines without a template map as their RAM. Never written to. */
  emptyRamDirectory: string;
  /** Memory-backed, entered by nobody but us. */
  unpackedRoot: string;
}

export class BaseRam {
  readonly #options: BaseRamOptions;
  /** Of this life, by name below the root. */
  readonly #unpacked = new Set<string>();

  constructor(options: BaseRamOptions) {
    this.#options = options;
  }

  async provide({ machineId, start, size }: LaunchSpec): Promise<BaseFiles> {
    const base = baseOf(start);
    if (base !== undefined) return this.#lend(requireOurs(base), machineId);
    const template = templateOf(start);
    if (template !== undefined) return { baseId: null, baseRamPath: template.ramPath, basePagesPath: null };
    const sizeBytes = size.memoryMb * 1024 * 1024;
    const path =
      start.kind === "boot" && start.templateRamPath !== undefined
        ? start.templateRamPath
        : join(this.#options.emptyRamDirectory, `empty-${size.memoryMb}.ram`);
    if ((await stat(path).catch(() => undefined))?.size !== sizeBytes) {
      await mkdir(join(path, ".."), { recursive: true, mode: 0o700 });
      await (await open(path, "a", 0o444)).close();
      await truncate(path, sizeBytes);
    }
    return { baseId: null, baseRamPath: path, basePagesPath: null };
  }

  async unpack(
    state: AsyncIterable<Uint8Array>,
    { baseId, memoryMb, signal }: UnpackOptions,
  ): Promise<UnpackedState> {
    await this.#requireRoom(memoryMb);
    const name = `state-${randomBytes(8).toString("hex")}`;
    this.#unpacked.add(name);
    const directory = join(this.#options.unpackedRoot, name);
    return await QemuUnpackedState.write(
      { baseId, directory, memoryMb, onGone: () => this.#unpacked.delete(name) },
      state,
      signal,
    );
  }

  /** What a machine that is gone had. */
  async giveBack(machineId: string): Promise<void> {
    await rm(join(this.#options.unpackedRoot, machineId), { recursive: true, force: true });
  }

  /** What earlier lives unpacked, and what machines had that nobody knows any more. */
  async reap(isKnown: (machineId: string) => boolean): Promise<void> {
    const names = await readdir(this.#options.unpackedRoot).catch(() => []);
    for (const name of names) if (!this.#unpacked.has(name) && !isKnown(name)) await this.giveBack(name);
  }

  /** Machines' keys pass through the same space, so it is never filled. */
  async #requireRoom(memoryMb: number): Promise<void> {
    const { unpackedRoot } = this.#options;
    await mkdir(unpackedRoot, { recursive: true, mode: 0o700 });
    const { bavail, bsize } = await statfs(unpackedRoot);
    const freeMb = Math.floor((bavail * bsize) / 2 ** 20);
    if (freeMb >= memoryMb + SPARED_MB) return;
    throw new AtollError("host.full", `${freeMb} MB of memory-backed space are free`, {
      details: { resource: "memory" },
    });
  }

  async #lend({ baseId, directory }: QemuUnpackedState, machineId: string): Promise<BaseFiles> {
    const own = join(this.#options.unpackedRoot, machineId);
    const { ram, pages } = UNPACKED_FILES;
    try {
      await mkdir(own, { mode: 0o700 });
      for (const name of [ram, pages]) await link(join(directory, name), join(own, name));
    } catch (cause) {
      throw new AtollError("vm.start_failed", "the unpacked memory is gone", { cause });
    }
    return { baseId, baseRamPath: join(own, ram), basePagesPath: join(own, pages) };
  }
}

export function devicesPathOf(state: UnpackedState): string {
  return requireOurs(state).devicesPath;
}

function requireOurs(state: UnpackedState): QemuUnpackedState {
  if (state instanceof QemuUnpackedState) return state;
  throw new TypeError("a state that another driver unpacked");
}
