import type { Readable } from "node:stream";
import { StringDecoder } from "node:string_decoder";

const LINE_CHARACTERS = 1000;

/** The end of what a part of the tests printed, to be shown again where nobody has to search for it. */
export class LastLines {
  readonly #max: number;
  #lines: string[] = [];

  constructor(max: number) {
    this.#max = max;
  }

  get lines(): readonly string[] {
    return this.#lines;
  }

  /** Keeps what comes by, and passes it on as it comes. */
  follow(from: Readable, to: NodeJS.WritableStream): void {
    const decoder = new StringDecoder();
    let begun = "";
    from.on("data", (chunk: Buffer) => {
      to.write(chunk);
      const lines = (begun + decoder.write(chunk)).split("\n");
      // Endless lines have no end to wait for.
      begun = (lines.pop() ?? "").slice(-LINE_CHARACTERS);
      this.#add(lines);
    });
    from.on("end", () => this.#add([begun]));
  }

  #add(lines: readonly string[]): void {
    const worthShowing = lines
      .filter((line) => line.trim() !== "")
      .map((line) => line.slice(0, LINE_CHARACTERS));
    this.#lines = [...this.#lines, ...worthShowing].slice(-this.#max);
  }
}
