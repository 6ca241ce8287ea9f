import { request } from "node:http";

/** hostd's API over its Unix socket. Throws the answer's code on anything but success. */
export class HostdClient {
  readonly #socketPath: string;

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  send(method: string, path: string, body?: unknown): Promise<unknown> {
    const text = body === undefined ? "" : JSON.stringify(body);
    return new Promise((resolve, reject) => {
      const headers = {
        host: "hostd",
        "content-type": "application/json",
        "content-length": Buffer.byteLength(text),
      };
      const asked = request({ socketPath: this.#socketPath, method, path, headers }, (answer) => {
        let received = "";
        answer.setEncoding("utf8");
        answer.on("data", (chunk: string) => {
          received += chunk;
        });
        answer.on("end", () => {
          const value: unknown = received === "" ? undefined : JSON.parse(received);
          if ((answer.statusCode ?? 500) < 300) resolve(value);
          else reject(new Error(`${method} ${path}: ${answer.statusCode} ${received}`));
        });
      });
      asked.on("error", reject);
      asked.end(text);
    });
  }

  /** Follows a stream of JSON lines until `take` makes something of one. */
  firstLine<T>(path: string, take: (line: unknown) => T | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      const asked = request({ socketPath: this.#socketPath, path, headers: { host: "hostd" } }, (answer) => {
        let held = "";
        answer.setEncoding("utf8");
        answer.on("data", (chunk: string) => {
          const lines = (held + chunk).split("\n");
          held = lines.pop() ?? "";
          for (const line of lines) {
            const taken = line === "" ? undefined : take(JSON.parse(line));
            if (taken === undefined) continue;
            asked.destroy();
            return resolve(taken);
          }
        });
        answer.on("end", () => reject(new Error(`${path} ended`)));
      });
      asked.on("error", reject);
      asked.end();
    });
  }
}
