/**
 * One file per workspace, template and tombstone below `<data>/journal`. Each write replaces the whole file durably, so a
 * crash leaves the old record or the new one. A file that does not parse is left alone and reported: it may be the only
 * trace of somebody's disk.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { makeDirectory } from "@atoll/durable/make-directory";
import { removeDurably } from "@atoll/durable/remove-durably";
import { diskError } from "../../disks/disk-error.ts";
import { readWorkspaceRecord } from "./read-workspace-record.ts";
import { type TemplateRecord, templateRecord } from "./template-record.ts";
import { type UnreadableRecord, unreadableRecord } from "./unreadable-record.ts";
import {
  type TombstoneRecord,
  tombstoneRecord,
  type WorkspaceRecord,
  workspaceRecord,
} from "./workspace-record.ts";

export interface WorkspaceJournalOptions {
  directory: string;
  /** Temporary file, fsync, rename, fsync of the directory. */
  writeDurably: (path: string, bytes: Uint8Array) => Promise<void>;
  onUnreadable: (path: string, error: unknown) => void;
}

export interface JournalContent {
  workspaces: WorkspaceRecord[];
  templates: TemplateRecord[];
  tombstones: TombstoneRecord[];
  /** Nobody may take their ids for new ones, nor sweep their data. */
  unreadable: UnreadableRecord[];
}

const RECORD_NAME = /^[0-9a-f-]{36}\.json$/;

export class WorkspaceJournal {
  readonly #options: WorkspaceJournalOptions;
  readonly #workspaces: string;
  readonly #templates: string;
  readonly #tombstones: string;

  constructor(options: WorkspaceJournalOptions) {
    this.#options = options;
    this.#workspaces = join(options.directory, "workspaces");
    this.#templates = join(options.directory, "templates");
    this.#tombstones = join(options.directory, "tombstones");
  }

  async open(): Promise<JournalContent> {
    for (const directory of [this.#workspaces, this.#templates, this.#tombstones]) {
      await makeDirectory(directory);
    }
    const unreadable: UnreadableRecord[] = [];
    const note = (record: UnreadableRecord) => void unreadable.push(record);
    const workspaces = await this.#readAll("workspace", this.#workspaces, readWorkspaceRecord, note);
    const parseTemplate = (value: unknown) => templateRecord.parse(value);
    const templates = await this.#readAll("template", this.#templates, parseTemplate, note);
    const parseTombstone = (value: unknown) => tombstoneRecord.parse(value);
    const tombstones = await this.#readAll("tombstone", this.#tombstones, parseTombstone, note);
    return { workspaces, templates, tombstones, unreadable };
  }

  writeWorkspace(record: WorkspaceRecord): Promise<void> {
    return this.#write(join(this.#workspaces, `${record.workspaceId}.json`), workspaceRecord.parse(record));
  }

  writeTemplate(record: TemplateRecord): Promise<void> {
    return this.#write(join(this.#templates, `${record.templateId}.json`), templateRecord.parse(record));
  }

  writeTombstone(record: TombstoneRecord): Promise<void> {
    return this.#write(join(this.#tombstones, `${record.id}.json`), tombstoneRecord.parse(record));
  }

  /** @throws AtollError host.disk_full, host.disk_failed */
  async #write(path: string, record: unknown): Promise<void> {
    try {
      await this.#options.writeDurably(path, Buffer.from(`${JSON.stringify(record)}\n`));
    } catch (error) {
      throw diskError(error);
    }
  }

  async #readAll<T>(
    kind: UnreadableRecord["kind"],
    directory: string,
    parse: (value: unknown) => T,
    onUnreadable: (record: UnreadableRecord) => void,
  ): Promise<T[]> {
    const records: T[] = [];
    for (const name of await readdir(directory)) {
      // A record whose writer was killed before it got its name.
      if (name.endsWith(".tmp")) await removeDurably(join(directory, name));
      if (!RECORD_NAME.test(name)) continue;
      const path = join(directory, name);
      let text: string | undefined;
      try {
        text = await readFile(path, "utf8");
        records.push(parse(JSON.parse(text)));
      } catch (error) {
        onUnreadable(unreadableRecord(kind, name.slice(0, -".json".length), text));
        this.#options.onUnreadable(path, error);
      }
    }
    return records;
  }
}
