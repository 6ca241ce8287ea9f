/** Runs something that changes files, then shows the files as a power cut at every moment may have left them. */
import { createHash } from "node:crypto";
import { link, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { withFileOps } from "../file-ops.ts";
import {
  apply,
  DiskModel,
  type Entry,
  ModelDirectory,
  ModelFile,
  type NameChange,
  type Unsynced,
} from "./disk-model.ts";
import { type Operation, RecordingFileOps } from "./recording-file-ops.ts";

export interface Crash {
  /** Labels the recorder had acknowledged by then: of these nothing may be missing. */
  acknowledged: readonly string[];
  /** What had been done and what of it was lost, for a failure's message. */
  description: string;
}

export interface EveryCrashOptions {
  /** Where `run` works. What lies there already is taken to be durable. */
  directory: string;
  run: (recorder: RecordingFileOps) => Promise<void>;
  /** Opens a directory in the state after one crash; throws when that is none it may be in. It may write there. */
  check: (directory: string, crash: Crash) => Promise<void>;
  /** See RecordingFileOps. */
  omit?: (operation: Operation) => boolean;
}

const UNSYNCED: readonly Unsynced[] = ["dropped", "torn", "zeroed", "kept"];
/** Up to this many unsynced changes of names every combination is tried; of more each alone, each missing, each prefix. */
const COMBINED_CHANGES = 5;

/** @throws the first failure of `check`, with the crash it was about; or when something was changed past the recorder */
export async function everyCrash(options: EveryCrashOptions): Promise<{ stateCount: number }> {
  const { directory, run, check, omit } = options;
  const model = new DiskModel();
  await readInto(model.root, directory, new Map());
  const recorder = new RecordingFileOps({ directory, ...(omit ? { omit } : {}) });
  await withFileOps(recorder, () => run(recorder));
  const seen = new Set<string>();
  const acknowledged: string[] = [];
  const steps = [undefined, ...recorder.operations];
  for (const [index, operation] of steps.entries()) {
    if (operation !== undefined) model.perform(operation);
    if (operation?.kind === "acknowledge") acknowledged.push(operation.label);
    const after = operation === undefined ? "before anything" : `after ${index}: ${describe(operation)}`;
    for (const state of crashStates(model)) {
      const tree = treeOf(model.root, state.names, state.unsynced);
      const key = fingerprint([acknowledged, tree]);
      if (seen.has(key)) continue;
      seen.add(key);
      const description = `${after}; unsynced bytes ${state.unsynced}; names: ${state.label}`;
      await checkOne(tree, { acknowledged: [...acknowledged], description }, check);
    }
  }
  if (omit === undefined) await requireComplete(model, directory);
  return { stateCount: seen.size };
}

interface CrashState {
  unsynced: Unsynced;
  names: ReadonlyMap<ModelDirectory, ReadonlyMap<string, Entry>>;
  label: string;
}

function* crashStates(model: DiskModel): Generator<CrashState> {
  const directories = model.directories();
  const pending = directories.flatMap((directory) =>
    directory.pending.map((change) => ({ directory, change })),
  );
  for (const kept of selections(pending.length)) {
    const names = new Map(directories.map((directory) => [directory, new Map(directory.synced)]));
    const isKept = (change: NameChange) => {
      const index = pending.findIndex((each) => each.change === change);
      return index < 0 || kept.has(index);
    };
    if (pending.some(({ change }) => change.needs && isKept(change) && !isKept(change.needs.change)))
      continue;
    for (const { directory, change } of pending) {
      if (isKept(change)) apply(names.get(directory) ?? new Map(), change);
    }
    const label =
      pending.map(({ change }, index) => `${kept.has(index) ? "" : "lost "}${nameOf(change)}`).join(", ") ||
      "all synced";
    for (const unsynced of UNSYNCED) yield { unsynced, names, label };
  }
}

function selections(count: number): Array<ReadonlySet<number>> {
  const all = Array.from({ length: count }, (_, index) => index);
  if (count <= COMBINED_CHANGES) {
    return Array.from(
      { length: 2 ** count },
      (_, bits) => new Set(all.filter((index) => (bits & (1 << index)) !== 0)),
    );
  }
  return [
    ...all.map((index) => new Set([index])),
    ...all.map((index) => new Set(all.filter((other) => other !== index))),
    ...Array.from({ length: count + 1 }, (_, length) => new Set(all.slice(0, length))),
  ];
}

type Tree = Map<string, { mode: number; bytes: Buffer; identity: ModelFile } | { mode: number }>;

/** By path, parents first. */
function treeOf(root: ModelDirectory, names: CrashState["names"], unsynced: Unsynced): Tree {
  const tree: Tree = new Map();
  const visit = (directory: ModelDirectory, prefix: string) => {
    const entries = [...(names.get(directory) ?? directory.synced)].sort(([one], [other]) =>
      one < other ? -1 : 1,
    );
    for (const [name, entry] of entries) {
      const path = join(prefix, name);
      if (entry instanceof ModelFile) {
        tree.set(path, { mode: entry.mode, bytes: entry.content(unsynced), identity: entry });
      } else {
        tree.set(path, { mode: entry.mode });
        visit(entry, path);
      }
    }
  };
  visit(root, "");
  return tree;
}

async function checkOne(tree: Tree, crash: Crash, check: EveryCrashOptions["check"]): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "atoll-crash-"));
  try {
    const written = new Map<ModelFile, string>();
    for (const [path, entry] of tree) {
      const target = join(directory, path);
      if (!("bytes" in entry)) {
        await mkdir(target, { mode: entry.mode });
        continue;
      }
      const first = written.get(entry.identity);
      if (first === undefined) await writeFile(target, entry.bytes, { mode: entry.mode });
      else await link(first, target);
      written.set(entry.identity, first ?? target);
    }
    await check(directory, crash);
  } catch (cause) {
    throw new Error(`crash ${crash.description}: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function readInto(into: ModelDirectory, path: string, files: Map<number, ModelFile>): Promise<void> {
  for (const entry of await readdir(path, { withFileTypes: true })) {
    const at = join(path, entry.name);
    const { mode, ino } = await stat(at);
    let found: Entry;
    if (entry.isDirectory()) {
      found = new ModelDirectory(mode & 0o777);
      await readInto(found, at, files);
    } else {
      found = files.get(ino) ?? new ModelFile(mode & 0o777, await readFile(at));
      files.set(ino, found);
    }
    into.change({ names: [[entry.name, found]] });
  }
  into.sync();
}

/** A change that was not recorded was not replayed either: the test would be about something else. */
async function requireComplete(model: DiskModel, directory: string): Promise<void> {
  const present = new Map(model.directories().map((each) => [each, each.present]));
  const expected = treeOf(model.root, present, "kept");
  const actual = new ModelDirectory(0o700);
  await readInto(actual, directory, new Map());
  const found = treeOf(actual, new Map(), "kept");
  for (const path of new Set([...expected.keys(), ...found.keys()])) {
    const [one, other] = [expected.get(path), found.get(path)];
    const bytesOf = (entry: typeof one) => (entry && "bytes" in entry ? entry.bytes : Buffer.alloc(0));
    if (one === undefined || other === undefined || !bytesOf(one).equals(bytesOf(other))) {
      throw new Error(`${path} was changed past the recorder`);
    }
  }
}

function fingerprint([acknowledged, tree]: [readonly string[], Tree]): string {
  const hash = createHash("sha256").update(JSON.stringify(acknowledged));
  for (const [path, entry] of tree) {
    hash.update(`\0${path}\0`);
    if ("bytes" in entry) hash.update(`${entry.bytes.length}\0`).update(entry.bytes);
  }
  return hash.digest("hex");
}

function nameOf(change: NameChange): string {
  return change.names.map(([name, entry]) => `${entry === undefined ? "-" : "+"}${name}`).join(" ");
}

function describe(operation: Operation): string {
  const { kind, ...rest } = operation;
  const facts = Object.values(rest).map((value) => (Buffer.isBuffer(value) ? `${value.length} B` : value));
  return `${kind} ${facts.join(" ")}`;
}
