/**
 * One open file: its text, what of it is on the machine's disk, and what to do when the two part ways.
 * An edit leaves memory only after the machine has confirmed the save; until then it is kept as a draft too.
 */
import type { Clock } from "@atoll/base/clock";
import { AtollError, toAtollError } from "@atoll/protocol/atoll-error";
import { canRetry } from "../connection/reconnect-policy.ts";
import type { FileClient, WriteExpectation } from "../files/file-client.ts";
import { ModelState } from "../model-state.ts";
import type { DraftStore } from "./draft-store.ts";
import { decodeFileText, encodeFileText } from "./file-text.ts";
import type { CreateTextBuffer, TextBuffer } from "./text-buffer.ts";

export interface Conflict {
  /** Undefined: the file is gone, or no longer text. */
  theirs: string | undefined;
  theirVersion: string | undefined;
}

export interface DocumentState {
  phase: "loading" | "ready" | "binary" | "failed";
  /** Why it could not be opened. */
  error: AtollError | undefined;
  isDirty: boolean;
  isSaving: boolean;
  /** The last save failed; the text is kept and tried again. */
  saveError: AtollError | undefined;
  conflict: Conflict | undefined;
  /** The file is not there any more. Its text stays open; only a further edit writes it anew. */
  isDeleted: boolean;
  /** This text was found in the browser: it had not reached the machine when the tab closed. */
  isRestoredDraft: boolean;
}

const AUTOSAVE_IDLE_MS = 1_000;
const DRAFT_IDLE_MS = 300;

export interface DocumentModelOptions {
  path: string;
  files: Pick<FileClient, "read" | "write" | "stat">;
  drafts: DraftStore;
  createBuffer: CreateTextBuffer;
  clock: Clock;
}

export class DocumentModel {
  readonly state = new ModelState<DocumentState>({
    phase: "loading",
    error: undefined,
    isDirty: false,
    isSaving: false,
    saveError: undefined,
    conflict: undefined,
    isDeleted: false,
    isRestoredDraft: false,
  });
  readonly path: string;
  readonly #options: DocumentModelOptions;
  #buffer: TextBuffer | undefined;
  #diskVersion: string | undefined;
  #savedToken = 0;
  #cancelAutosave: () => void = () => {};
  #cancelDraft: () => void = () => {};
  #saving: Promise<void> | undefined;
  #isClosed = false;

  constructor(options: DocumentModelOptions) {
    this.path = options.path;
    this.#options = options;
    void this.load();
  }

  get buffer(): TextBuffer | undefined {
    return this.#buffer;
  }

  /** Also the way to try again after a failure. */
  async load(): Promise<void> {
    this.state.update({ phase: "loading", error: undefined });
    try {
      const draft = await this.#options.drafts.get(this.path);
      const disk = await this.#readDisk();
      if (this.#isClosed) return;
      if (disk?.text === undefined && disk !== undefined) return this.state.update({ phase: "binary" });
      if (disk === undefined && !draft) throw new AtollError("file.not_found");
      await this.#show(disk?.text ?? "", disk?.version);
      if (draft && draft.text !== disk?.text) this.#restore(draft.text, draft.baseVersion, disk);
    } catch (cause) {
      const error = toAtollError(cause);
      if (this.#isClosed) return;
      // Without a link there is nothing to say yet: it goes on loading when the next one is up.
      this.state.update({ phase: canRetry(error) ? "loading" : "failed", error });
    }
  }

  /** A link is up again: take up whatever the last one left undone. */
  async reattach(): Promise<void> {
    const { phase, error, isDirty } = this.state.get();
    if (error && (phase === "failed" || phase === "loading")) await this.load();
    else if (isDirty) await this.save();
  }

  /** Saves now; waits for a save under way first. Resolves when there is nothing left to try. */
  async save(): Promise<void> {
    this.#cancelAutosave();
    await this.#saving;
    const { phase, isDirty, conflict } = this.state.get();
    if (phase !== "ready" || conflict || !isDirty) return;
    this.#saving = this.#write(this.#diskVersion === undefined ? "absent" : { version: this.#diskVersion });
    try {
      await this.#saving;
    } finally {
      this.#saving = undefined;
    }
  }

  /** Somebody changed the file, or may have while we could not see it. */
  async checkDisk(): Promise<void> {
    if (this.state.get().phase === "failed") return this.load();
    if (this.state.get().phase !== "ready") return;
    await this.#saving;
    try {
      const entry = await this.#options.files.stat(this.path);
      this.state.update({ isDeleted: false });
      if (entry.version === this.#diskVersion || this.#saving) return;
      const disk = await this.#readDisk();
      if (disk) this.#meet(disk);
    } catch (cause) {
      if (toAtollError(cause).code !== "file.not_found") return;
      this.#diskVersion = undefined;
      this.state.update({ isDeleted: true });
    }
  }

  /** Conflict: keep this text, over whatever is there. */
  async overwrite(): Promise<void> {
    const { conflict } = this.state.get();
    if (!conflict) return;
    this.#diskVersion = conflict.theirVersion;
    this.state.update({ conflict: undefined });
    await this.save();
  }

  /** Conflict: give this text up for the one on disk. It stays in the undo history. */
  takeTheirs(): void {
    const { conflict } = this.state.get();
    if (!conflict || !this.#buffer) return;
    this.#diskVersion = conflict.theirVersion;
    if (conflict.theirs !== undefined) this.#buffer.setText(conflict.theirs);
    this.state.update({ conflict: undefined });
    this.#settleSaved(this.#buffer.versionToken());
  }

  async discardDraft(): Promise<void> {
    this.#cancelDraft();
    await this.#options.drafts.remove(this.path);
  }

  close(): void {
    this.#isClosed = true;
    this.#cancelAutosave();
    this.#cancelDraft();
    this.#buffer?.dispose();
  }

  async #readDisk(): Promise<{ text: string | undefined; version: string } | undefined> {
    try {
      const { entry, bytes } = await this.#options.files.read(this.path);
      return { text: decodeFileText(bytes), version: entry.version };
    } catch (cause) {
      if (toAtollError(cause).code === "file.not_found") return undefined;
      throw cause;
    }
  }

  async #show(text: string, version: string | undefined): Promise<void> {
    this.#diskVersion = version;
    if (this.#buffer) this.#buffer.setText(text);
    else {
      this.#buffer = await this.#options.createBuffer(this.path, text);
      this.#buffer.onDidChange(() => this.#onChange());
    }
    this.#savedToken = this.#buffer.versionToken();
    this.state.update({ phase: "ready", isDirty: false, saveError: undefined, conflict: undefined });
  }

  #restore(
    text: string,
    baseVersion: string | undefined,
    disk: { text: string | undefined; version: string } | undefined,
  ) {
    this.#buffer?.setText(text);
    this.state.update({ isRestoredDraft: true });
    if (disk && disk.version !== baseVersion)
      this.state.update({ conflict: { theirs: disk.text, theirVersion: disk.version } });
  }

  #onChange(): void {
    const isDirty = this.#buffer?.versionToken() !== this.#savedToken;
    if (isDirty !== this.state.get().isDirty) this.state.update({ isDirty });
    this.#cancelAutosave();
    this.#cancelDraft();
    if (!isDirty) {
      this.state.update({ isRestoredDraft: false });
      void this.discardDraft();
      return;
    }
    const { clock } = this.#options;
    this.#cancelAutosave = clock.schedule(AUTOSAVE_IDLE_MS, () => void this.save());
    this.#cancelDraft = clock.schedule(DRAFT_IDLE_MS, () => void this.#keepDraft());
  }

  async #keepDraft(): Promise<void> {
    if (!this.#buffer) return;
    const text = this.#buffer.getText();
    const savedAtMs = this.#options.clock.now();
    await this.#options.drafts
      .put({ path: this.path, text, baseVersion: this.#diskVersion, savedAtMs })
      .catch(() => {});
  }

  async #write(expect: WriteExpectation): Promise<void> {
    const buffer = this.#buffer;
    if (!buffer) return;
    const token = buffer.versionToken();
    const text = buffer.getText();
    this.state.update({ isSaving: true });
    try {
      const entry = await this.#options.files.write(this.path, encodeFileText(text), expect);
      this.#diskVersion = entry.version;
      this.state.update({ isDeleted: false });
      this.#settleSaved(token);
    } catch (cause) {
      await this.#onSaveFailure(toAtollError(cause), { text, token });
    } finally {
      this.state.update({ isSaving: false });
    }
  }

  /** `token`'s text is on disk. Typing may have gone on meanwhile. */
  #settleSaved(token: number): void {
    this.#savedToken = token;
    this.state.update({ saveError: undefined });
    this.#onChange();
  }

  async #onSaveFailure(error: AtollError, attempt: { text: string; token: number }): Promise<void> {
    if (error.code !== "file.conflict" && error.code !== "file.exists" && error.code !== "file.not_found") {
      this.state.update({ saveError: error });
      return;
    }
    try {
      const disk = await this.#readDisk();
      if (disk === undefined) {
        this.#diskVersion = undefined;
        this.#cancelAutosave = this.#options.clock.schedule(0, () => void this.save());
      } else if (disk.text === attempt.text) {
        // Our own earlier save, whose answer was lost with the connection.
        this.#diskVersion = disk.version;
        this.#settleSaved(attempt.token);
      } else {
        this.state.update({ conflict: { theirs: disk.text, theirVersion: disk.version } });
      }
    } catch (cause) {
      this.state.update({ saveError: toAtollError(cause) });
    }
  }

  /** The disk holds something newer than we last saw. */
  #meet(disk: { text: string | undefined; version: string }): void {
    const { isDirty } = this.state.get();
    const buffer = this.#buffer;
    if (!buffer) return;
    if (disk.text === buffer.getText()) {
      this.#diskVersion = disk.version;
      return this.#settleSaved(buffer.versionToken());
    }
    if (isDirty || disk.text === undefined) {
      this.#cancelAutosave();
      this.state.update({ conflict: { theirs: disk.text, theirVersion: disk.version } });
      return;
    }
    this.#diskVersion = disk.version;
    buffer.setText(disk.text);
    this.#settleSaved(buffer.versionToken());
  }
}
