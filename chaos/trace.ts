/** What the harness did and was told within the present cycle, for the report of one that fails. */
export class Trace {
  #beganMs = performance.now();
  #lines: string[] = [];
  #leftOut = 0;

  begin(): void {
    this.#beganMs = performance.now();
    this.#lines = [];
    this.#leftOut = 0;
  }

  /** The same again, however often, is one line. */
  note(text: string): void {
    if (this.#lines.at(-1)?.endsWith(` ${text}`)) return;
    if (this.#lines.length >= LINES_MAX) {
      this.#lines.splice(LINES_MAX / 2, 1);
      this.#leftOut += 1;
    }
    this.#lines.push(`${((performance.now() - this.#beganMs) / 1000).toFixed(1)} s ${text}`);
  }

  lines(): string[] {
    const half = LINES_MAX / 2;
    const gap = this.#leftOut > 0 ? [`... ${this.#leftOut} more`] : [];
    return [...this.#lines.slice(0, half), ...gap, ...this.#lines.slice(half)];
  }
}

const LINES_MAX = 60;
