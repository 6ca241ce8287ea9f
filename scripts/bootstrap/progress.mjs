/**
 * One line per step on a terminal, rewritten while the step runs; plain lines when the output is a file.
 * Runs before any package is installed, so it uses nothing but Node.
 */
import { stripVTControlCharacters } from "node:util";

const FRAME_INTERVAL_MS = 200;
/** A log reader must see that a long step is alive, and not one line per second of it. */
const PLAIN_INTERVAL_MS = 10_000;
const COLOURS = { ok: "32", fail: "31", note: "36", dim: "2" };

/** What went wrong and what a person can do about it; both are printed, the stack is not. */
export class StepFailure extends Error {
  /**
   * @param {string} message
   * @param {{ remedy?: string, logTail?: string, cause?: unknown }} [options]
   */
  constructor(message, options = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "StepFailure";
    this.remedy = options.remedy;
    this.logTail = options.logTail;
  }
}

export class Progress {
  /** @type {NodeJS.WriteStream} */
  #out;
  #isTerminal;
  /** @type {{ title: string, detail: string, startedMs: number } | undefined} */
  #running;

  /** @param {NodeJS.WriteStream} [out] */
  constructor(out = process.stdout) {
    this.#out = out;
    // The terminal may go away; what has begun, stopping above all, must still be finished.
    out.on("error", () => {});
    this.#isTerminal = out.isTTY === true && process.env.TERM !== "dumb";
  }

  /**
   * Runs one step. Its line ends with the elapsed time and what `work` returns as a string, if it does.
   * @template T
   * @param {string} title
   * @param {(report: (detail: string) => void) => Promise<T> | T} work
   * @returns {Promise<T>}
   */
  async step(title, work) {
    const step = { title, detail: "", startedMs: performance.now() };
    this.#running = step;
    const timer = setInterval(
      () => this.#tick(step),
      this.#isTerminal ? FRAME_INTERVAL_MS : PLAIN_INTERVAL_MS,
    );
    timer.unref();
    if (this.#isTerminal) this.#tick(step);
    try {
      const result = await work((detail) => {
        step.detail = detail;
        if (this.#isTerminal) this.#tick(step);
      });
      this.#finish("ok", step, typeof result === "string" ? result : "");
      return result;
    } catch (error) {
      this.#finish("fail", step, "");
      throw error;
    } finally {
      clearInterval(timer);
      this.#running = undefined;
    }
  }

  /**
   * A line between steps, or above the running one.
   * @param {string} text
   */
  note(text) {
    this.#clear();
    this.#out.write(`${text}\n`);
    if (this.#running) this.#tick(this.#running);
  }

  /**
   * Prints a failure for people: what, the end of the log, what to do.
   * @param {unknown} error
   */
  failure(error) {
    this.#clear();
    const message = error instanceof Error ? error.message : String(error);
    this.#out.write(`\n${this.#paint("fail", "Failed:")} ${message}\n`);
    if (error instanceof StepFailure) {
      if (error.logTail) this.#out.write(`\n${indent(error.logTail)}\n`);
      if (error.remedy) this.#out.write(`\n${this.#paint("note", "What to do:")} ${error.remedy}\n`);
    } else if (error instanceof Error && error.stack) {
      this.#out.write(`${indent(error.stack)}\n`);
    }
  }

  /** @param {{ title: string, detail: string, startedMs: number }} step */
  #tick(step) {
    const detail = step.detail ? ` ${this.#paint("dim", step.detail)}` : "";
    if (this.#isTerminal) {
      const line = `  ... ${step.title} ${elapsed(step.startedMs)}${detail}`;
      this.#clear();
      this.#out.write(clip(line, this.#out.columns || 80));
    } else {
      this.#out.write(
        `  ... ${step.title}${step.detail ? `: ${step.detail}` : ""} ${elapsed(step.startedMs)}\n`,
      );
    }
  }

  /**
   * @param {"ok" | "fail"} outcome
   * @param {{ title: string, startedMs: number }} step
   * @param {string} result
   */
  #finish(outcome, step, result) {
    this.#clear();
    const mark = this.#paint(outcome, outcome === "ok" ? " ok " : "FAIL");
    const suffix = result ? `  ${this.#paint("dim", result)}` : "";
    this.#out.write(`${mark}  ${step.title} ${this.#paint("dim", elapsed(step.startedMs))}${suffix}\n`);
  }

  #clear() {
    if (this.#isTerminal) this.#out.write("\r\u001b[2K");
  }

  /**
   * @param {keyof typeof COLOURS} colour
   * @param {string} text
   */
  #paint(colour, text) {
    if (!this.#isTerminal || process.env.NO_COLOR) return text;
    return `\u001b[${COLOURS[colour]}m${text}\u001b[0m`;
  }
}

/** @param {number} startedMs */
function elapsed(startedMs) {
  const seconds = (performance.now() - startedMs) / 1_000;
  return seconds < 60
    ? `${seconds.toFixed(1)} s`
    : `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

/** @param {string} text */
function indent(text) {
  return text
    .trimEnd()
    .split("\n")
    .map((line) => `    ${line}`)
    .join("\n");
}

/**
 * Colour codes take no column; a line that wraps could not be rewritten.
 * @param {string} line
 * @param {number} columns
 */
function clip(line, columns) {
  const extra = line.length - stripVTControlCharacters(line).length;
  return line.length - extra < columns ? line : `${line.slice(0, columns + extra - 5)}\u001b[0m`;
}
