import { readFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { Clock } from "@atoll/base/clock";
import { makeDirectory } from "@atoll/durable/make-directory";
import { PREVIEW_GRANT_SECONDS, SESSION_TICKET } from "@atoll/protocol/tickets";
import { z } from "zod";

/** Beyond it every ticket and every preview's grant that was signed before has expired. */
const MEMORY_MS = (PREVIEW_GRANT_SECONDS + 2 * SESSION_TICKET.lifetimeSeconds) * 1000;
/** Of one host within that time. The oldest goes first, its preview's grant being the nearest to its own end. */
const REVOCATIONS_MAX = 50_000;

const stored = z.object({ format: z.literal(1), revoked: z.array(z.tuple([z.uuid(), z.number()])) });

export interface RevocationsOptions {
  path: string;
  clock: Clock;
  /** Replaces the file; resolves when it is durable. */
  writeDurably: (path: string, bytes: string) => Promise<void>;
  onUnreadable: (error: unknown) => void;
}

/** Sign-ins, and users as a whole, that were ended: in a file, since grants of previews outlive this process. */
export class Revocations {
  readonly #options: RevocationsOptions;
  /** Sign-in session, or user, → when; oldest first. */
  readonly #atMs = new Map<string, number>();
  #writing: Promise<void> = Promise.resolve();

  private constructor(options: RevocationsOptions) {
    this.#options = options;
  }

  static async open(options: RevocationsOptions): Promise<Revocations> {
    const revocations = new Revocations(options);
    await makeDirectory(dirname(options.path));
    try {
      const { revoked } = stored.parse(JSON.parse(await readFile(options.path, "utf8")));
      for (const [id, atMs] of revoked) revocations.#atMs.set(id, atMs);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") options.onUnreadable(error);
    }
    return revocations;
  }

  /** When this sign-in or user was revoked last. */
  revokedAtMs(id: string): number | undefined {
    return this.#atMs.get(id);
  }

  /** Holds from this call on; durable when it resolves. */
  add(id: string): Promise<void> {
    const now = this.#options.clock.now();
    for (const [old, atMs] of this.#atMs) {
      if (atMs + MEMORY_MS < now || this.#atMs.size >= REVOCATIONS_MAX) this.#atMs.delete(old);
      else break;
    }
    this.#atMs.delete(id);
    this.#atMs.set(id, now);
    const write = this.#writing.then(() => this.#write());
    this.#writing = write.catch(() => {});
    return write;
  }

  #write(): Promise<void> {
    const content: z.infer<typeof stored> = { format: 1, revoked: [...this.#atMs] };
    return this.#options.writeDurably(this.#options.path, JSON.stringify(content));
  }
}
