/**
 * What a user may rely on, kept beside the real thing: words they saved and words their programs remember. Commands at
 * the same time leave it open what holds; looking at the guest settles it.
 */
import type { WorkspaceStatus } from "@atoll/protocol/workspace-status";

/** A disk's content: everything in `must`, nothing outside `may`. */
export interface Content {
  must: ReadonlySet<string>;
  may: ReadonlySet<string>;
}

export const NOTHING: Content = { must: new Set(), may: new Set() };

export interface ModelCheckpoint {
  checkpointId: string;
  /** What its disk may hold: one of these. */
  contents: Content[];
  /** Answered to the caller, so it must be there. */
  isAcknowledged: boolean;
  isDeleteAsked: boolean;
}

export class ModelWorkspace {
  readonly workspaceId: string;
  readonly ownerId: string;
  /** One of these is true. */
  contents: Content[] = [NOTHING];
  memory: Content = NOTHING;
  readonly checkpoints = new Map<string, ModelCheckpoint>();
  /** A create of it was answered: from then on it must be there. */
  isAcknowledged = false;
  erasure: "none" | "asked" | "done" = "none";
  readonly statuses: WorkspaceStatus[] = [];
  /** Memory that is not there any more may be missing: a cold boot or a restore was announced since the last look. */
  isLossAnnounced = false;
  erasureAnswer: unknown;

  constructor(workspaceId: string, ownerId: string) {
    this.workspaceId = workspaceId;
    this.ownerId = ownerId;
  }

  wordAsked(word: string): void {
    this.contents = this.contents.map(({ must, may }) => ({ must, may: with_(may, word) }));
  }

  wordSaved(word: string): void {
    this.contents = this.contents.map(({ must, may }) =>
      may.has(word) ? { must: with_(must, word), may } : { must, may },
    );
  }

  memoryAsked(word: string): void {
    this.memory = { must: this.memory.must, may: with_(this.memory.may, word) };
  }

  memoryTaken(word: string): void {
    this.memory = { must: with_(this.memory.must, word), may: this.memory.may };
  }

  announced(status: WorkspaceStatus): void {
    this.statuses.push(status);
    if (status.state === "running" && status.startedBy === "boot") this.isLossAnnounced = true;
    if (status.lostMemory !== undefined) this.isLossAnnounced = true;
  }

  /** What is on the disk. @returns what is wrong with that */
  diskSeen(words: readonly string[]): string | undefined {
    const fitting = this.contents.filter((content) => fits(content, words));
    if (fitting.length === 0) {
      return `I3: ${short(this.workspaceId)} holds [${words}], expected ${this.contents.map(show).join(" or ")}`;
    }
    const seen = new Set(words);
    // Words that a write still under way may add are asked for again by their own command.
    this.contents = [{ must: seen, may: seen }];
    return undefined;
  }

  memorySeen(words: readonly string[]): string | undefined {
    const isComplete = fits(this.memory, words);
    const isLoss = words.every((word) => this.memory.may.has(word)) && this.isLossAnnounced;
    const seen = new Set(words);
    const expected = show(this.memory);
    this.memory = { must: seen, may: seen };
    this.isLossAnnounced = false;
    if (isComplete || isLoss) return undefined;
    return `memory of ${short(this.workspaceId)} is [${words}], expected ${expected}; no loss was announced`;
  }
}

export function fits({ must, may }: Content, words: readonly string[]): boolean {
  const seen = new Set(words);
  return [...must].every((word) => seen.has(word)) && words.every((word) => may.has(word));
}

export function short(id: string): string {
  return id.slice(0, 6);
}

export function show({ must, may }: Content): string {
  const open = [...may].filter((word) => !must.has(word));
  return `{${[...must]}${open.length > 0 ? ` maybe ${open}` : ""}}`;
}

function with_(set: ReadonlySet<string>, word: string): ReadonlySet<string> {
  return new Set([...set, word]);
}
