/** The open files of one tab: their order, which one is in front, and keeping them true to the disk. */
import type { Clock } from "@atoll/base/clock";
import type { Connection } from "../connection/connection.ts";
import type { FileClient } from "../files/file-client.ts";
import type { FolderWatch } from "../files/folder-watch.ts";
import { isWithin, parentPath } from "../files/guest-path.ts";
import { ModelState } from "../model-state.ts";
import { DocumentModel } from "./document-model.ts";
import type { DraftStore } from "./draft-store.ts";
import type { CreateTextBuffer } from "./text-buffer.ts";

export interface EditorState {
  documents: DocumentModel[];
  active: DocumentModel | undefined;
  /** A tab that was asked to close but could not be saved. */
  closing: DocumentModel | undefined;
}

export interface EditorModelOptions {
  connection: Connection;
  files: FileClient;
  watch: FolderWatch;
  drafts: DraftStore;
  createBuffer: CreateTextBuffer;
  clock: Clock;
}

export class EditorModel {
  readonly state = new ModelState<EditorState>({ documents: [], active: undefined, closing: undefined });
  readonly #options: EditorModelOptions;
  readonly #stops: Array<() => void> = [];

  constructor(options: EditorModelOptions) {
    this.#options = options;
    this.#stops.push(
      options.watch.onDidChange(({ path }) => {
        for (const document of this.state.get().documents) {
          if (path === undefined || document.path === path) void document.checkDisk();
        }
      }),
      options.connection.onLink(async () => {
        for (const document of this.state.get().documents) void document.reattach();
      }),
    );
  }

  open(path: string): DocumentModel {
    const { documents } = this.state.get();
    const known = documents.find((document) => document.path === path);
    if (known) {
      this.state.update({ active: known });
      return known;
    }
    const { files, drafts, createBuffer, clock } = this.#options;
    const document = new DocumentModel({ path, files, drafts, createBuffer, clock });
    this.#options.watch.add(parentPath(path));
    this.state.update({ documents: [...documents, document], active: document });
    return document;
  }

  activate(document: DocumentModel): void {
    this.state.update({ active: document });
  }

  /** Moves to the next or previous tab, around the ends. */
  step(by: 1 | -1): void {
    const { documents, active } = this.state.get();
    if (!active || documents.length === 0) return;
    const at = (documents.indexOf(active) + by + documents.length) % documents.length;
    this.state.update({ active: documents[at] });
  }

  /** Saves first; what cannot be saved is asked about. */
  async close(document: DocumentModel): Promise<void> {
    if (document.state.get().isDirty) await document.save();
    if (document.state.get().isDirty) this.state.update({ closing: document });
    else this.#remove(document);
  }

  cancelClose(): void {
    this.state.update({ closing: undefined });
  }

  async discardAndClose(): Promise<void> {
    const { closing } = this.state.get();
    if (!closing) return;
    this.state.update({ closing: undefined });
    this.#remove(closing);
    await closing.discardDraft();
  }

  async saveAll(): Promise<void> {
    await Promise.all(this.state.get().documents.map((document) => document.save()));
  }

  get hasUnsaved(): boolean {
    return this.state.get().documents.some((document) => document.state.get().isDirty);
  }

  /** Before a file or folder gets another name: a save after that would bring the old one back. */
  async saveWithin(path: string): Promise<void> {
    const inside = this.state.get().documents.filter((document) => isWithin(document.path, path));
    await Promise.all(inside.map((document) => document.save()));
  }

  /** A file or folder got another name: its open tabs follow it, in their places. */
  follow(from: string, to: string): void {
    const { documents, active } = this.state.get();
    for (const document of documents.filter(({ path }) => isWithin(path, from))) {
      const next = this.open(to + document.path.slice(from.length));
      const { documents: now } = this.state.get();
      const moved = now.filter((other) => other !== next);
      moved.splice(moved.indexOf(document), 0, next);
      this.state.update({ documents: moved });
      this.#remove(document);
      if (document !== active) this.state.update({ active });
    }
  }

  /** A file or folder was deleted here on purpose. */
  forget(path: string): void {
    for (const document of this.state.get().documents.filter((open) => isWithin(open.path, path))) {
      this.#remove(document);
      void document.discardDraft();
    }
  }

  dispose(): void {
    for (const stop of this.#stops) stop();
    for (const document of this.state.get().documents) document.close();
  }

  #remove(document: DocumentModel): void {
    const { documents, active } = this.state.get();
    const at = documents.indexOf(document);
    if (at === -1) return;
    const left = documents.filter((other) => other !== document);
    const next = active === document ? left[Math.min(at, left.length - 1)] : active;
    this.#options.watch.remove(parentPath(document.path));
    this.state.update({ documents: left, active: next });
    document.close();
  }
}
