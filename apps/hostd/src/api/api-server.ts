/** hostd's HTTP API on a Unix socket that only this uid may open. Parses, calls one operation, maps errors by the table. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { AtollError, toAtollError } from "@atoll/protocol/atoll-error";
import { uuid } from "@atoll/protocol/ids";
import type { Logger } from "pino";
import { diskError } from "../disks/disk-error.ts";
import { listenOnUnixSocket } from "./listen-on-unix-socket.ts";
import type { ApiContext, Route } from "./route.ts";
import { ROUTES } from "./routes.ts";

/** The largest body of most routes is some 300 bytes. */
const BODY_MAX_BYTES = 64 * 1024;

export class ApiServer implements AsyncDisposable {
  readonly #server: Server;
  readonly #context: ApiContext;
  readonly #logger: Logger;

  constructor(context: ApiContext, logger: Logger) {
    this.#context = context;
    this.#logger = logger;
    // A create may take a cold boot; the socket's own inactivity limits would cut it.
    this.#server = createServer({ requestTimeout: 30_000, headersTimeout: 10_000 }, (message, response) => {
      void this.#serve(message, response);
    });
    this.#server.on("clientError", (_error, socket) => socket.destroy());
  }

  listen(path: string): Promise<void> {
    return listenOnUnixSocket(this.#server, path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }

  async #serve(message: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const { route, ...ids } = findRoute(message);
      if ("stream" in route) return route.stream(message, response, this.#context);
      const body = await readBody(message, route.bodyMaxBytes ?? BODY_MAX_BYTES);
      if (route.work !== undefined) this.#context.workspaces.find(ids.id)?.meter.markApi(route.work);
      const result = await route.handle({ ...ids, body }, this.#context);
      this.#answer(response, 200, result);
    } catch (cause) {
      const error = toAtollError(diskError(cause));
      if (error.code === "internal")
        this.#logger.error({ method: message.method, err: error }, "request failed");
      this.#answer(response, error.http, error.toWire());
      // What is left of a refused body is thrown away as it comes, for at most the server's request time.
      message.resume();
    }
  }

  #answer(response: ServerResponse, status: number, body: unknown): void {
    if (response.headersSent || response.destroyed) return;
    const text = JSON.stringify(body);
    response.writeHead(status, {
      "content-type": "application/json",
      "content-length": Buffer.byteLength(text),
    });
    response.end(text);
  }
}

/** `:id` and `:childId` of a path are UUIDs. @throws AtollError request.unknown, request.invalid */
function findRoute(message: IncomingMessage): { route: Route; id: string; childId: string } {
  const target = message.url ?? "";
  const path = target.split("?", 1)[0] ?? "";
  const parts = path.split("/");
  for (const route of ROUTES) {
    if (route.method !== message.method) continue;
    const wanted = route.path.split("/");
    if (wanted.length !== parts.length) continue;
    if (!wanted.every((part, index) => part.startsWith(":") || part === parts[index])) continue;
    const idOf = (name: string) => {
      const at = wanted.indexOf(`:${name}`);
      return at === -1 ? "" : parseId(name, parts[at]);
    };
    return { route, id: idOf("id"), childId: idOf("childId") };
  }
  throw new AtollError("request.unknown");
}

function parseId(field: string, text: string | undefined): string {
  const id = uuid.safeParse(text);
  if (!id.success) throw new AtollError("request.invalid", "not a UUID", { details: { field } });
  return id.data;
}

/** @throws AtollError request.too_large, request.invalid */
async function readBody(message: IncomingMessage, maxBytes: number): Promise<unknown> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  // Left early, the loop would destroy the socket that carries our answer.
  const received = message.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
  for await (const chunk of received) {
    sizeBytes += chunk.length;
    if (sizeBytes > maxBytes) {
      throw new AtollError("request.too_large", undefined, { details: { limit: maxBytes } });
    }
    chunks.push(chunk);
  }
  if (sizeBytes === 0) return undefined;
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(chunks)));
  } catch (cause) {
    throw new AtollError("request.invalid", "the body is not JSON", { cause });
  }
}
