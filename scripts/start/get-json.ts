import { request } from "node:http";

/** More than any health answer; a wrong server on the port must not fill our memory. */
const MAX_ANSWER_BYTES = 64 * 1024;

export interface Target {
  path: string;
  socketPath?: string;
  port?: number;
}

/** One GET on the loopback or a Unix socket. Undefined unless it was answered with 200 and JSON. */
export function getJson({ path, socketPath, port }: Target, signal: AbortSignal): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const place = socketPath ? { socketPath } : { host: "127.0.0.1", port };
    const outgoing = request({ ...place, path, signal, agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        text += chunk;
        if (text.length > MAX_ANSWER_BYTES) outgoing.destroy(new Error("the answer is too long"));
      });
      response.once("error", reject);
      response.once("end", () => resolve(response.statusCode === 200 ? parse(text) : undefined));
    });
    outgoing.once("error", reject);
    outgoing.end();
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
