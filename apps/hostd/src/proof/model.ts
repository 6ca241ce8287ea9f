/**
 * What a user may rely on, kept beside the real thing: words they saved and words their programs remember. Commands at
 * the same time leave it open what holds; looking at the guest settles it.
 */
import type { CreateWorkspace } from "@atoll/protocol/hostd-api";
import type { WorkspaceStatus } from "@atoll/protocol/workspace-status";

/** Everything in `must` is there, nothing outside `may`. */
export interface Content {
  must: ReadonlySet<string>;
  may: ReadonlySet<string>;
}

const NOTHING: Content = { must: new Set(), may: new Set() };

/** A state that is being frozen: what is written until it is done may be in it. */
export interface Capture {
  contents: Content[];
  memory: Content;
}

export interface ModelCheckpoint extends Capture {
  checkpointId: string;
  hasMemory: boolean;
  /** Answered to the caller, so it must be there. */
  isAcknowledged: boolean;
  isDeleteAsked: boolean;
}

/** What has a key of its own, whose end is attested. */
export abstract class ModelErasable {
  readonly id: string;
  readonly ownerId: string;
  /** A create of it was answered: from then on it must be there. */
  isAcknowledged = false;
  erasure: "none" | "asked" | "done" = "none";
  /** As text, to be compared. */
  erasureAnswer: string | undefined;
  /** Of the key, as the record had it when its creation was answered. */
  keyCommitment: string | undefined;

  constructor(id: string, ownerId: string) {
    this.id = id;
    this.ownerId = ownerId;
  }
}

/** Made from a checkpoint; what it holds is what that froze, and the mark of the scrubbing. */
export class ModelTemplate extends ModelErasable {
  readonly #origin: Capture;
  readonly #mark: string;
  isPublished = false;

  constructor(id: string, ownerId: string, origin: Capture, mark: string) {
    super(id, ownerId);
    this.#origin = origin;
    this.#mark = mark;
  }

  get contents(): Content[] {
    return this.#origin.contents.map(({ must, may }) => ({
      must: plus(must, [this.#mark]),
      may: plus(may, [this.#mark]),
    }));
  }
}

export class ModelWorkspace extends ModelErasable {
  /** One of these is true. */
  contents: Content[] = [NOTHING];
  memory: Content = NOTHING;
  readonly checkpoints = new Map<string, ModelCheckpoint>();
  /** Those made before a restore, oldest first, also of restores that came to nothing. */
  readonly safeties: ModelCheckpoint[] = [];
  isFork = false;
  /** What it was created with. */
  body: CreateWorkspace | undefined;
  /** How many handshakes there had been when its last start began. */
  helloMark = 0;
  expiresAtMs: number | undefined;
  /** Memory may be gone: a cold boot was announced since the last look. */
  isLossAnnounced = false;
  /** Grows when a restore begins and when it ends: a write beside one may be undone by it. */
  restoreCount = 0;
  restoresInFlight = 0;
  status: WorkspaceStatus | undefined;
  readonly #captures = new Set<Capture>();

  get workspaceId(): string {
    return this.id;
  }

  wordAsked(word: string): void {
    for (const affected of this.#affected()) affected.contents = allowing(affected.contents, [word]);
  }

  /** @param since `restoreCount` when the write began */
  wordSaved(word: string, since: number): void {
    if (since !== this.restoreCount || this.restoresInFlight > 0) return;
    this.contents = this.contents.map(({ must, may }) => ({
      must: plus(must, [word]),
      may: plus(may, [word]),
    }));
  }

  memoryAsked(word: string): void {
    for (const affected of this.#affected()) {
      const { must, may } = affected.memory;
      affected.memory = { must, may: plus(may, [word]) };
    }
  }

  memoryTaken(word: string, since: number): void {
    if (since !== this.restoreCount || this.restoresInFlight > 0) return;
    this.memory = { must: plus(this.memory.must, [word]), may: this.memory.may };
  }

  /** This one and what is being made of it: a fork that has not begun may have a fork already. */
  #affected(): Capture[] {
    const made = [...this.#captures].flatMap((capture) =>
      capture instanceof ModelWorkspace ? capture.#affected() : [capture],
    );
    return [this, ...made];
  }

  /** The state now, and whatever comes of it until the returned function is called. */
  capture(): { capture: Capture; end: () => void } {
    const capture: Capture = { contents: this.contents, memory: { ...this.memory } };
    this.#captures.add(capture);
    return { capture, end: () => this.#captures.delete(capture) };
  }

  /**
   * `fork` begins from this one as it is, or from `checkpoint`, at some time until the returned function is called; what
   * it remembers of this one's memory is its own matter, since its start says so.
   */
  forkedBy(fork: ModelWorkspace, checkpoint: Capture | undefined): () => void {
    const { contents, memory } = checkpoint ?? this;
    fork.contents = contents;
    fork.memory = { must: new Set(), may: memory.may };
    this.#captures.add(fork);
    return () => this.#captures.delete(fork);
  }

  /** @param safety what it freezes before it changes anything */
  restoreBegun({ contents }: Capture, safety: Capture): void {
    this.restoreCount += 1;
    this.restoresInFlight += 1;
    // Until it is done either may be there, and captures meanwhile may have frozen either.
    for (const affected of this.#affected()) {
      if (affected !== safety) affected.contents = [...affected.contents, ...contents];
    }
  }

  /**
   * @param target what was put back, when that is certain
   * @param newWords those asked for since it began
   */
  restoreEnded(target: ModelCheckpoint | undefined, newWords: readonly string[]): void {
    this.restoreCount += 1;
    this.restoresInFlight -= 1;
    this.contents = allowing(this.contents, newWords);
    if (target !== undefined) this.contents = allowing(target.contents, newWords);
    // What programs remembered is the checkpoint's, or was given up by whoever asked for the restore.
    const may = plus(this.memory.may, target === undefined ? [] : [...target.memory.may]);
    this.memory = { must: new Set(), may };
    this.isLossAnnounced = true;
  }

  announced(status: WorkspaceStatus): void {
    this.status = status;
    if (status.state === "running" && status.startedBy === "boot") this.isLossAnnounced = true;
    if (status.lostMemory !== undefined) this.isLossAnnounced = true;
  }

  /** What is on the disk. @returns what is wrong with that */
  diskSeen(words: readonly string[]): string | undefined {
    if (!this.contents.some((content) => fits(content, words))) {
      return `I3: ${short(this.workspaceId)} holds [${words}], expected ${this.contents.map(show).join(" or ")}`;
    }
    const seen = new Set(words);
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

function allowing(contents: readonly Content[], words: readonly string[]): Content[] {
  return contents.map(({ must, may }) => ({ must, may: plus(may, words) }));
}

function plus(set: ReadonlySet<string>, words: readonly string[]): ReadonlySet<string> {
  return new Set([...set, ...words]);
}
