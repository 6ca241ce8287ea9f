import { request } from "node:http";
import { AtollError } from "@atoll/protocol/atoll-error";

/** hostd's API over its Unix socket. @throws AtollError of the answer; host.unreachable when there was none */
export class HostdClient {
  readonly #socketPath: string;

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  /** Without a `signal` it waits as long as hostd takes; with one it rejects with the signal's reason. */
  send(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<unknown> {
    const text = body === undefined ? "" : JSON.stringify(body);
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const headers = {
      host: "hostd",
      "content-type": "application/json",
      "content-length": Buffer.byteLength(text),
    };
    const lost = (cause: unknown) =>
      reject(signal?.aborted ? signal.reason : new AtollError("host.unreachable", undefined, { cause }));
    const bound = signal === undefined ? {} : { signal };
    const asked = request({ socketPath: this.#socketPath, method, path, headers, ...bound }, (answer) => {
      let received = "";
      answer.setEncoding("utf8");
      answer.on("error", lost);
      answer.on("data", (chunk: string) => {
        received += chunk;
      });
      answer.on("end", () => {
        const value: unknown = received === "" ? undefined : JSON.parse(received);
        if ((answer.statusCode ?? 500) < 300) resolve(value);
        else reject(AtollError.fromWire(value));
      });
    });
    asked.on("error", lost);
    asked.end(text);
    return promise;
  }

  /** Follows a stream of JSON lines until `take` makes something of one. `onOpen`: its head is there. */
  firstLine<T>(path: string, onOpen: () => void, take: (line: unknown) => T | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      const asked = request({ socketPath: this.#socketPath, path, headers: { host: "hostd" } }, (answer) => {
        onOpen();
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
