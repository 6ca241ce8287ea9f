/** Where what a user wrote can come to lie on a host. Each entry has a mark, and a place it is found in before the erasure. */
import { randomBytes } from "node:crypto";

/** Content: nowhere readable without a key. */
export const CONTENT = [
  "disk",
  "memory",
  "scrollback",
  "older disk",
  "older memory",
  "half-way upload",
  "before a restore",
  "fork",
  "template",
  "course",
  "archive",
  "view",
] as const;
/** What a user calls things: in the host's records as it is. */
export const NAMES = ["name of a checkpoint", "reason of a lease"] as const;

export type Entry = (typeof CONTENT)[number] | (typeof NAMES)[number];

export class Marks {
  /** All marks begin with it, so that a search looks for one thing. */
  readonly #beginning = randomBytes(8).toString("hex");
  readonly #halves = new Map<Entry, [string, string]>(
    [...CONTENT, ...NAMES].map((entry) => [
      entry,
      [`${this.#beginning}${randomBytes(10).toString("hex")}`, randomBytes(10).toString("hex")],
    ]),
  );

  of(entry: Entry): string {
    return this.#half(entry).join("-");
  }

  all(entries: readonly Entry[]): string[] {
    return entries.map((entry) => this.of(entry));
  }

  /** Shell that puts it together in `$m`, so that no message of ours holds it. */
  inShell(entry: Entry): string {
    const [left, right] = this.#half(entry);
    return `m=${left}; m=$m-${right}`;
  }

  #half(entry: Entry): [string, string] {
    const halves = this.#halves.get(entry);
    if (halves === undefined) throw new TypeError(`no such entry: ${entry}`);
    return halves;
  }
}
