/** hostd's API on a real Unix socket, with its answers chosen by the test. */
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";

export type Answer = { status?: number; body: unknown } | ((response: ServerResponse) => void);

export class FakeHostd implements AsyncDisposable {
  readonly directory = mkdtempSync(join(tmpdir(), "atoll-hostd-"));
  readonly socketPath = join(this.directory, "hostd.sock");
  readonly calls: string[] = [];
  readonly bodies: unknown[] = [];
  /** By `METHOD /path`. */
  readonly answers = new Map<string, Answer>();
  readonly #server = createServer((request, response) => void this.#serve(request, response));

  static async start(): Promise<FakeHostd> {
    const hostd = new FakeHostd();
    await new Promise<void>((resolve) => hostd.#server.listen(hostd.socketPath, resolve));
    return hostd;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const key = `${request.method} ${request.url}`;
    this.calls.push(key);
    const text = Buffer.concat(chunks).toString("utf8");
    if (text !== "") this.bodies.push(JSON.parse(text));
    const answer = this.answers.get(key) ?? { status: 404, body: { code: "workspace.not_found" } };
    if (typeof answer === "function") return answer(response);
    response.writeHead(answer.status ?? 200, { "content-type": "application/json" });
    response.end(typeof answer.body === "string" ? answer.body : JSON.stringify(answer.body));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
    rmSync(this.directory, { recursive: true, force: true });
  }
}
