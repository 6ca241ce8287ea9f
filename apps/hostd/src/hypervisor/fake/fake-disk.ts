/**
 * A disk whose layers are small JSON files: what the fake's guest wrote while that layer was the top, and a print of its
 * key. Opening locks like QEMU: many readers or one writer of a file, so a frozen layer is shared and a top is not.
 */
import { createHash } from "node:crypto";
import { chmodSync, closeSync, fstatSync, openSync, readSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { AtollError } from "@atoll/protocol/atoll-error";
import { z } from "zod";
import type { DiskLayer, EncryptedDisk, RawDisk } from "../hypervisor.ts";

const content = z.strictObject({ key: z.string(), entries: z.record(z.string(), z.string()) });
type Content = z.infer<typeof content>;

/** More than any test writes; a template's raw disk is far larger and holds no JSON. */
const CONTENT_MAX_BYTES = 1024 * 1024;
const EMPTY_QCOW2 = "QFI";

/** Who has which file open, by inode: hard links are one file. Belongs to the host, as the kernel's locks do. */
export class FakeFileLocks {
  readonly #readers = new Map<string, Set<object>>();
  readonly #writers = new Map<string, object>();

  /** @throws AtollError vm.start_failed when others hold it in a way that excludes this one */
  take(path: string, holder: object, mode: "read" | "write"): void {
    const file = inode(path);
    const writer = this.#writers.get(file);
    const readers = this.#readers.get(file) ?? new Set();
    const others = [...readers].some((reader) => reader !== holder);
    if ((writer !== undefined && writer !== holder) || (mode === "write" && others)) {
      throw new AtollError("vm.start_failed", `${path} is in use by another machine`);
    }
    readers.delete(holder);
    this.#writers.delete(file);
    if (mode === "write") this.#writers.set(file, holder);
    else this.#readers.set(file, readers.add(holder));
  }

  release(path: string, holder: object): void {
    const file = inode(path);
    this.#readers.get(file)?.delete(holder);
    if (this.#writers.get(file) === holder) this.#writers.delete(file);
  }

  releaseAll(holder: object): void {
    for (const readers of this.#readers.values()) readers.delete(holder);
    for (const [file, writer] of this.#writers) if (writer === holder) this.#writers.delete(file);
  }
}

interface OpenLayer {
  layerId: string;
  path: string;
  content: Content;
}

export class FakeDisk {
  readonly #locks: FakeFileLocks;
  readonly #directory: string | undefined;
  /** Bottom first; the first is the template's raw disk. */
  #layers: OpenLayer[] = [];

  private constructor(locks: FakeFileLocks, directory: string | undefined) {
    this.#locks = locks;
    this.#directory = directory;
  }

  static open(disk: EncryptedDisk | RawDisk, locks: FakeFileLocks): FakeDisk {
    const opened = new FakeDisk(locks, disk.kind === "raw" ? undefined : disk.directory);
    try {
      if (disk.kind === "raw") opened.#layers = [opened.#openFile("raw", disk.path, "", "write")];
      else {
        if (disk.layers.length === 0) throw new AtollError("vm.start_failed", "a disk without layers");
        opened.#layers = [
          opened.#openFile("backing", disk.backingPath, "", "read"),
          ...disk.layers.map((layer, index) =>
            opened.#openLayer(layer, index === disk.layers.length - 1 ? "write" : "read"),
          ),
        ];
      }
    } catch (cause) {
      opened.close();
      // As QEMU would: without its disk it does not come up.
      throw cause instanceof AtollError ? cause : new AtollError("vm.start_failed", "no disk", { cause });
    }
    return opened;
  }

  get topLayerId(): string {
    return this.#top.layerId;
  }

  read(key: string): string | undefined {
    for (const layer of this.#layers.toReversed()) {
      const value = layer.content.entries[key];
      if (value !== undefined) return value;
    }
    return undefined;
  }

  write(key: string, value: string): void {
    this.#top.content.entries[key] = value;
    save(this.#top);
  }

  /** @throws AtollError vm.monitor_failed with everything as it was */
  switchTo(layer: DiskLayer): void {
    const before = this.#top;
    if (before.layerId === layer.layerId) return;
    let top: OpenLayer;
    try {
      top = this.#openLayer(layer, "write");
    } catch (cause) {
      throw new AtollError("vm.monitor_failed", "the new layer cannot be opened", { cause });
    }
    this.#locks.take(before.path, this, "read");
    chmodSync(before.path, 0o444);
    this.#layers.push(top);
  }

  /** @throws AtollError vm.start_failed */
  insertBelowTop(layer: DiskLayer): void {
    try {
      this.#layers.splice(-1, 0, this.#openLayer(layer, "read"));
    } catch (cause) {
      throw new AtollError("vm.start_failed", "the layer cannot be opened", { cause });
    }
  }

  /** One layer at a time into the top, from above; whatever was copied when it is cut off changes nothing. */
  async flatten(signal?: AbortSignal): Promise<void> {
    for (const lower of this.#layers.slice(1, -1).toReversed()) {
      await nextTurn();
      signal?.throwIfAborted();
      const top = this.#top.content;
      top.entries = { ...lower.content.entries, ...top.entries };
      save(this.#top);
    }
    const [backing, ...layers] = this.#layers as [OpenLayer, ...OpenLayer[]];
    const top = layers.pop();
    if (top === undefined) return;
    for (const { path } of layers) this.#locks.release(path, this);
    this.#layers = [backing, top];
  }

  close(): void {
    this.#locks.releaseAll(this);
  }

  get #top(): OpenLayer {
    return this.#layers.at(-1) as OpenLayer;
  }

  #openLayer({ layerId, key }: DiskLayer, mode: "read" | "write"): OpenLayer {
    const path = join(this.#directory ?? "", `${layerId}.qcow2`);
    const layer = this.#openFile(layerId, path, createHash("sha256").update(key).digest("hex"), mode);
    chmodSync(path, mode === "write" ? 0o600 : 0o444);
    return layer;
  }

  #openFile(layerId: string, path: string, key: string, mode: "read" | "write"): OpenLayer {
    const found = load(path);
    if (found !== undefined && found.key !== key) {
      throw new AtollError("vm.start_failed", `${path} has another key`);
    }
    this.#locks.take(path, this, mode);
    return { layerId, path, content: found ?? { key, entries: {} } };
  }
}

/** Undefined for a file nobody wrote to yet, whatever made it. */
function load(path: string): Content | undefined {
  const fd = openSync(path, "r");
  try {
    const { size } = fstatSync(fd);
    const bytes = Buffer.alloc(Math.min(size, CONTENT_MAX_BYTES));
    readSync(fd, bytes, 0, bytes.length, 0);
    const isEmpty = bytes.length === 0 || bytes[0] === 0 || bytes.toString("latin1", 0, 3) === EMPTY_QCOW2;
    if (isEmpty) return undefined;
    return content.parse(JSON.parse(bytes.toString("utf8")));
  } catch (cause) {
    throw new AtollError("vm.start_failed", `${path} cannot be read as a disk`, { cause });
  } finally {
    closeSync(fd);
  }
}

/** In place: hard links to the file stay links to it. */
function save({ path, content }: OpenLayer): void {
  writeFileSync(path, JSON.stringify(content));
}

function inode(path: string): string {
  const { dev, ino } = statSync(path);
  return `${dev}:${ino}`;
}
