import type { Socket } from "node:net";
import { createInterface, type Interface } from "node:readline";
import { z } from "zod";

const runReply = z.object({ status: z.int().nullable(), stdout: z.string(), stderr: z.string() });
export type RunReply = z.infer<typeof runReply>;

/** Speaks to `line-agent.ts`: requests and replies one by one, in order. */
export class LineClient implements Disposable {
  readonly #socket: Socket;
  readonly #lines: AsyncIterator<string>;
  readonly #reader: Interface;

  constructor(socket: Socket) {
    this.#socket = socket.setEncoding("utf8");
    this.#reader = createInterface({ input: socket });
    this.#lines = this.#reader[Symbol.asyncIterator]();
  }

  /** Waits for the line a newly started agent sends on its own. */
  async started(): Promise<void> {
    z.object({ ready: z.literal(true) }).parse(await this.#next());
  }

  async ask(request: object): Promise<unknown> {
    this.#socket.write(`${JSON.stringify(request)}\n`);
    return this.#next();
  }

  /** For requests the agent does not live to answer. */
  tell(request: object): void {
    this.#socket.write(`${JSON.stringify(request)}\n`);
  }

  async run(...argv: [string, ...string[]]): Promise<RunReply> {
    return runReply.parse(await this.ask({ kind: "run", argv }));
  }

  /** Output of a shell command line run as `dev` in a login shell. */
  async shell(line: string): Promise<string> {
    const { stdout, stderr } = await this.run("su", "-", "dev", "-c", line);
    return `${stdout}${stderr}`.trim();
  }

  async #next(): Promise<unknown> {
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error("the guest closed the connection");
    return JSON.parse(value);
  }

  [Symbol.dispose](): void {
    this.#reader.close();
    this.#socket.destroy();
  }
}
