import { ManualClock } from "@atoll/base/manual-clock";
import { AtollError } from "@atoll/protocol/atoll-error";
import type { FileEntry } from "@atoll/protocol/messages/files";
import { describe, expect, it } from "vitest";
import type { WriteExpectation } from "../files/file-client.ts";
import { DocumentModel } from "./document-model.ts";
import type { Draft, DraftStore } from "./draft-store.ts";
import type { TextBuffer } from "./text-buffer.ts";

const PATH = "/workspace/a.txt";

/** One file on a machine that may be out of reach. */
class FakeDisk {
  bytes: Uint8Array | undefined;
  version = 1;
  isAway = false;
  /** The write happens, its answer does not arrive. */
  loseNextAnswer = false;
  writes = 0;

  constructor(text?: string) {
    if (text !== undefined) this.bytes = new TextEncoder().encode(text);
  }

  get text(): string | undefined {
    return this.bytes && new TextDecoder().decode(this.bytes);
  }

  change(text: string): void {
    this.bytes = new TextEncoder().encode(text);
    this.version += 1;
  }

  #entry(): FileEntry {
    if (this.isAway) throw new AtollError("link.lost");
    if (!this.bytes) throw new AtollError("file.not_found");
    const sizeBytes = this.bytes.length;
    return {
      name: "a.txt",
      kind: "file",
      sizeBytes,
      modifiedAtMs: 0,
      mode: 0o644,
      version: String(this.version),
    };
  }

  stat = async () => this.#entry();
  read = async () => ({ entry: this.#entry(), bytes: this.bytes ?? new Uint8Array() });
  write = async (_path: string, bytes: Uint8Array, expect: WriteExpectation) => {
    if (this.isAway) throw new AtollError("link.lost");
    if (expect === "absent" && this.bytes) throw new AtollError("file.exists");
    if (typeof expect === "object" && expect.version !== String(this.version))
      throw new AtollError("file.conflict");
    this.writes += 1;
    this.bytes = bytes;
    this.version += 1;
    if (this.loseNextAnswer) {
      this.loseNextAnswer = false;
      throw new AtollError("link.lost");
    }
    return this.#entry();
  };
}

function memoryDrafts(): DraftStore & { all: Map<string, Draft> } {
  const all = new Map<string, Draft>();
  return {
    all,
    list: async () => [...all.values()],
    get: async (path) => all.get(path),
    put: async (draft) => void all.set(draft.path, draft),
    remove: async (path) => void all.delete(path),
  };
}

/** A buffer whose token is its text's number, so that undoing gives the token back. */
function memoryBuffer(first: string): TextBuffer {
  const tokens = new Map<string, number>();
  const listeners: Array<() => void> = [];
  let text = first;
  const token = () => {
    if (!tokens.has(text)) tokens.set(text, tokens.size + 1);
    return tokens.get(text) ?? 0;
  };
  return {
    getText: () => text,
    setText(next) {
      text = next;
      for (const listener of listeners) listener();
    },
    versionToken: token,
    onDidChange: (listener) => void listeners.push(listener),
    dispose: () => {},
  };
}

const settled = async () => {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
};

async function open(disk: FakeDisk, drafts = memoryDrafts()) {
  const clock = new ManualClock();
  const document = new DocumentModel({
    path: PATH,
    files: disk,
    drafts,
    createBuffer: async (_path, text) => memoryBuffer(text),
    clock,
  });
  await settled();
  const type = (text: string) => document.buffer?.setText(text);
  const pass = async (byMs: number) => {
    clock.advance(byMs);
    await settled();
  };
  return { document, drafts, clock, type, pass, state: () => document.state.get() };
}

describe("document", () => {
  it("saves by itself a second after the last change", async () => {
    const disk = new FakeDisk("one");
    const { type, pass, state, drafts } = await open(disk);
    type("two");
    expect(state().isDirty).toBe(true);
    await pass(999);
    expect(disk.text).toBe("one");
    expect(drafts.all.get(PATH)?.text).toBe("two");
    await pass(1);
    expect(disk.text).toBe("two");
    expect(state()).toMatchObject({ isDirty: false, isSaving: false });
    expect(drafts.all.size).toBe(0);
  });

  it("is clean again when the change is undone", async () => {
    const disk = new FakeDisk("one");
    const { type, pass, state } = await open(disk);
    type("two");
    type("one");
    await pass(5_000);
    expect({ isDirty: state().isDirty, writes: disk.writes }).toEqual({ isDirty: false, writes: 0 });
  });

  it("keeps an edit made while the machine is away and saves it afterwards", async () => {
    const disk = new FakeDisk("one");
    const { document, type, pass, state, drafts } = await open(disk);
    disk.isAway = true;
    type("two");
    await pass(1_000);
    expect(state()).toMatchObject({ isDirty: true, saveError: { code: "link.lost" } });
    expect(drafts.all.get(PATH)?.text).toBe("two");
    disk.isAway = false;
    await document.reattach();
    await settled();
    expect({ text: disk.text, isDirty: state().isDirty }).toEqual({ text: "two", isDirty: false });
  });

  it("sees that its own save got through although the answer was lost", async () => {
    const disk = new FakeDisk("one");
    const { document, type, pass, state } = await open(disk);
    disk.loseNextAnswer = true;
    type("two");
    await pass(1_000);
    expect(state().isDirty).toBe(true);
    await document.reattach();
    await settled();
    expect(state()).toMatchObject({ isDirty: false, conflict: undefined });
    expect(disk.writes).toBe(1);
  });

  it("takes a change from outside when there is nothing to lose", async () => {
    const disk = new FakeDisk("one");
    const { document, state } = await open(disk);
    disk.change("theirs");
    await document.checkDisk();
    expect(document.buffer?.getText()).toBe("theirs");
    expect(state()).toMatchObject({ isDirty: false, conflict: undefined });
  });

  it.each([
    ["overwrite", "mine"],
    ["takeTheirs", "theirs"],
  ] as const)("stops at a conflict until somebody chooses to %s", async (choice, result) => {
    const disk = new FakeDisk("one");
    const { document, type, pass, state } = await open(disk);
    type("mine");
    disk.change("theirs");
    await pass(1_000);
    expect(state().conflict).toEqual({ theirs: "theirs", theirVersion: "2" });
    await pass(10_000);
    expect(disk.text).toBe("theirs");
    await document[choice]();
    await settled();
    expect({ disk: disk.text, buffer: document.buffer?.getText() }).toEqual({ disk: result, buffer: result });
    expect(state()).toMatchObject({ isDirty: false, conflict: undefined });
  });

  it("brings back a draft that never reached the machine, and saves it", async () => {
    const disk = new FakeDisk("one");
    const drafts = memoryDrafts();
    drafts.all.set(PATH, { path: PATH, text: "typed", baseVersion: "1", savedAtMs: 0 });
    const { document, pass, state } = await open(disk, drafts);
    expect(document.buffer?.getText()).toBe("typed");
    expect(state()).toMatchObject({ isDirty: true, isRestoredDraft: true, conflict: undefined });
    await pass(1_000);
    expect(disk.text).toBe("typed");
    expect(drafts.all.size).toBe(0);
  });

  it("asks when the file changed after the draft was begun", async () => {
    const disk = new FakeDisk("newer");
    disk.version = 5;
    const drafts = memoryDrafts();
    drafts.all.set(PATH, { path: PATH, text: "typed", baseVersion: "1", savedAtMs: 0 });
    const { pass, state } = await open(disk, drafts);
    await pass(10_000);
    expect(state().conflict?.theirs).toBe("newer");
    expect(disk.text).toBe("newer");
  });

  it("refuses to show what is not text, and says when a file is not there", async () => {
    const binary = new FakeDisk();
    binary.bytes = new Uint8Array([0x7f, 0x45, 0x4c, 0x46, 0]);
    expect((await open(binary)).state().phase).toBe("binary");
    const latin1 = new FakeDisk();
    latin1.bytes = new Uint8Array([0x66, 0xfc, 0x72]);
    expect((await open(latin1)).state().phase).toBe("binary");
    expect((await open(new FakeDisk())).state()).toMatchObject({
      phase: "failed",
      error: { code: "file.not_found" },
    });
  });

  it("keeps the text of a file that was deleted, and writes it anew only with a further edit", async () => {
    const disk = new FakeDisk("one");
    const { document, type, pass, state } = await open(disk);
    disk.bytes = undefined;
    await document.checkDisk();
    await document.save();
    await pass(10_000);
    expect(state()).toMatchObject({ isDeleted: true, isDirty: false });
    expect(disk.text).toBeUndefined();
    type("still here");
    await pass(1_000);
    expect(disk.text).toBe("still here");
    expect(state().isDeleted).toBe(false);
  });

  it("goes on loading when the machine comes within reach", async () => {
    const disk = new FakeDisk("one");
    disk.isAway = true;
    const { document, state } = await open(disk);
    expect(state().phase).toBe("loading");
    disk.isAway = false;
    await document.reattach();
    expect(state().phase).toBe("ready");
  });
});
