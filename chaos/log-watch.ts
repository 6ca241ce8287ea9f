import { open } from "node:fs/promises";

/** Lines of a log that must never be written, whatever was done to the process: faults without a name, and its end by one. */
const UNNAMED =
  /"code":"internal"|"level":60|"type":"(?:TypeError|RangeError|ReferenceError)"|^(?:Uncaught|node:internal)/;

/** Reads a service's log as it grows. */
export class LogWatch {
  readonly #path: string;
  #offset = 0;

  constructor(path: string) {
    this.#path = path;
  }

  /** Of what was written since it was last asked. */
  async unnamedFaults(): Promise<string[]> {
    const lines = (await this.#read()).split("\n");
    return lines.filter((line) => UNNAMED.test(line)).map((line) => line.slice(0, 2000));
  }

  async #read(): Promise<string> {
    await using file = await open(this.#path, "r");
    const { size } = await file.stat();
    // Cut off and begun anew.
    if (size < this.#offset) this.#offset = 0;
    const { buffer } = await file.read(
      Buffer.alloc(size - this.#offset),
      0,
      size - this.#offset,
      this.#offset,
    );
    this.#offset = size;
    return buffer.toString("utf8");
  }
}
