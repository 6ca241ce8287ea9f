/** What a thief with the data directory's files and some keys can read: every layer and every sealed memory, searched. */
import { execFile } from "node:child_process";
import { createReadStream } from "node:fs";
import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { z } from "zod";
import { checkpointRecord } from "../checkpoints/checkpoint-record.ts";
import { diskRecord, type LayerRecord } from "../disks/disk-record.ts";
import { unwrapLayers, wipeLayers } from "../disks/layer-keys.ts";
import { hexText } from "../hypervisor/qemu/hex-text.ts";
import { type SealedFacts, SealedFile } from "../snapshots/sealed-file.ts";
import { openSnapshot, readManifest } from "../snapshots/snapshot-store.ts";

export interface Artefacts {
  /** A copy of `workspaces/`. */
  workspaces: string;
  qemuImgCommand: readonly string[];
}

export interface Finding {
  /** Which file, for people. */
  where: string;
  marks: string[];
}

/** Everything that any of `keys` opens. */
export async function openArtefacts(
  { workspaces, qemuImgCommand }: Artefacts,
  keys: readonly Uint8Array[],
  marks: readonly string[],
): Promise<{ opened: number; findings: Finding[] }> {
  const findings: Finding[] = [];
  let opened = 0;
  const note = (where: string, found: string[] | undefined) => {
    if (found === undefined) return;
    opened += 1;
    findings.push({ where, marks: found });
  };
  for (const diskId of await readdir(workspaces)) {
    const at = join(workspaces, diskId);
    for (const key of keys) {
      for (const { name, records } of await layerSets(at)) {
        for (const record of records) {
          const found = await searchLayer(at, diskId, key, record, { qemuImgCommand, marks });
          note(`${diskId} ${name} layer ${record.layerId}`, found);
        }
      }
      for (const id of await idsIn(join(at, "snapshots"))) {
        note(`${diskId} snapshot ${id}`, await searchSnapshot(join(at, "snapshots"), key, id, marks));
      }
      note(`${diskId} memory base`, await searchMemoryBase(at, key, marks));
      for (const id of await idsIn(join(at, "checkpoints"))) {
        note(`${diskId} memory of checkpoint ${id}`, await searchCheckpoint(at, key, id, marks));
      }
    }
  }
  return { opened, findings };
}

async function layerSets(at: string): Promise<{ name: string; records: LayerRecord[] }[]> {
  const sets: { name: string; records: LayerRecord[] }[] = [];
  const disk = diskRecord.safeParse(await json(join(at, "disk.json")));
  if (disk.success) sets.push({ name: "disk", records: disk.data.layers });
  for (const id of await idsIn(join(at, "checkpoints"))) {
    const record = checkpointRecord.safeParse(await json(join(at, "checkpoints", `${id}.json`)));
    if (record.success) sets.push({ name: `checkpoint ${id}`, records: record.data.layers });
  }
  return sets;
}

/** One layer by itself, over zeroes: what the workspace wrote while it was the top. Undefined when it does not open. */
async function searchLayer(
  at: string,
  diskId: string,
  key: Uint8Array,
  record: LayerRecord,
  { qemuImgCommand, marks }: { qemuImgCommand: readonly string[]; marks: readonly string[] },
): Promise<string[] | undefined> {
  let layers: ReturnType<typeof unwrapLayers>;
  try {
    layers = unwrapLayers(key, diskId, [record]);
  } catch {
    return undefined;
  }
  const path = join(at, "layers", `${record.layerId}.qcow2`);
  const [layer] = layers;
  try {
    return layer === undefined ? undefined : await searchQcow2(path, layer.key, { qemuImgCommand, marks });
  } finally {
    wipeLayers(layers);
  }
}

/** Undefined when `key` does not open the file. */
export async function searchQcow2(
  path: string,
  key: Uint8Array,
  { qemuImgCommand, marks }: { qemuImgCommand: readonly string[]; marks: readonly string[] },
): Promise<string[] | undefined> {
  const directory = await mkdtemp(join(tmpdir(), "atoll-open-"));
  try {
    const secret = join(directory, "secret");
    await writeFile(secret, hexText(key), { mode: 0o600 });
    const backing = join(directory, "backing");
    await writeFile(backing, "");
    await truncate(backing, 64 * 1024 ** 3);
    const image = [
      `driver=qcow2,file.driver=file,file.filename=${path},encrypt.format=luks,encrypt.key-secret=key`,
      `backing.driver=raw,backing.file.driver=file,backing.file.filename=${backing}`,
    ].join(",");
    // As qcow2, which leaves out what is all zeroes: most of a disk.
    const plain = join(directory, "plain");
    const [program = "", ...prefix] = qemuImgCommand;
    await promisify(execFile)(program, [
      ...[...prefix, "convert", "--object", `secret,id=key,file=${secret},format=raw`],
      ...["--image-opts", image, "-O", "qcow2", plain],
    ]);
    return await search(createReadStream(plain, { highWaterMark: PIECE_BYTES }), marks);
  } catch {
    return undefined;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function searchSnapshot(
  directory: string,
  key: Uint8Array,
  id: string,
  marks: readonly string[],
): Promise<string[] | undefined> {
  try {
    await using file = await openSnapshot(directory, key, await readManifest(directory, id));
    return await search(file.read(), marks);
  } catch {
    return undefined;
  }
}

async function searchCheckpoint(
  at: string,
  key: Uint8Array,
  id: string,
  marks: readonly string[],
): Promise<string[] | undefined> {
  const record = checkpointRecord.safeParse(await json(join(at, "checkpoints", `${id}.json`)));
  if (!record.success || record.data.memory === null) return undefined;
  const { workspaceId, epoch, memory } = record.data;
  try {
    const facts: Pick<SealedFacts, "key" | "sealedBytes"> = memory;
    const path = join(at, "checkpoints", `${id}.sealed`);
    await using file = await SealedFile.open(path, key, { workspaceId, snapshotId: id, epoch }, facts);
    return await search(file.read(), marks);
  } catch {
    return undefined;
  }
}

async function searchMemoryBase(
  at: string,
  key: Uint8Array,
  marks: readonly string[],
): Promise<string[] | undefined> {
  const record = diskRecord.safeParse(await json(join(at, "disk.json")));
  if (!record.success || record.data.memoryBase === null) return undefined;
  const { baseId: snapshotId, workspaceId, epoch } = record.data.memoryBase;
  try {
    const path = join(at, "memory-base");
    const context = { workspaceId, snapshotId, epoch };
    await using file = await SealedFile.open(path, key, context, record.data.memoryBase);
    return await search(file.read(), marks);
  } catch {
    return undefined;
  }
}

const PIECE_BYTES = 4 * 1024 * 1024;
/** Sparse files are read in pieces of holes. */
const ZEROES = Buffer.alloc(PIECE_BYTES);

/** Which of `marks` a byte stream holds; no mark has a zero byte. Quick for marks that begin alike. */
export async function search(stream: AsyncIterable<Uint8Array>, marks: readonly string[]): Promise<string[]> {
  const needles = new Map(marks.map((mark) => [mark, Buffer.from(mark)]));
  const beginning = Buffer.from(commonBeginning(marks));
  const reach = Math.max(...[...needles.values()].map((needle) => needle.length)) - 1;
  const found = new Set<string>();
  const look = (bytes: Buffer) => {
    if (!bytes.includes(beginning)) return;
    for (const [mark, needle] of needles) if (!found.has(mark) && bytes.includes(needle)) found.add(mark);
  };
  let tail: Buffer = Buffer.alloc(0);
  for await (const piece of stream) {
    if (ZEROES.subarray(0, piece.length).equals(piece)) {
      tail = Buffer.alloc(0);
      continue;
    }
    const bytes = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
    // Copies of a few bytes: the pieces of a memory are long.
    look(Buffer.concat([tail, bytes.subarray(0, reach)]));
    look(bytes);
    const end = Buffer.concat([tail, bytes.subarray(Math.max(0, bytes.length - reach))]);
    tail = end.subarray(Math.max(0, end.length - reach));
  }
  return [...found];
}

function commonBeginning([first = "", ...others]: readonly string[]): string {
  let length = first.length;
  for (const other of others) while (!other.startsWith(first.slice(0, length))) length -= 1;
  return first.slice(0, length);
}

async function idsIn(directory: string): Promise<string[]> {
  const names = await readdir(directory).catch(() => []);
  return names.filter((name) => name.endsWith(".json")).map((name) => name.slice(0, -".json".length));
}

async function json(path: string): Promise<unknown> {
  try {
    return z.unknown().parse(JSON.parse(await readFile(path, "utf8")));
  } catch {
    return undefined;
  }
}
