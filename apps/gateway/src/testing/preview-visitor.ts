import { randomUUID } from "node:crypto";
import { request as httpRequest, type IncomingMessage, type OutgoingHttpHeaders } from "node:http";
import { connect } from "node:net";
import type { Duplex } from "node:stream";
import { text } from "node:stream/consumers";
import { PREVIEW_ENTER_PATH, type PreviewTicketClaims } from "@atoll/protocol/tickets";
import type { TestGateway } from "./test-gateway.ts";

export interface Answer {
  status: number;
  headers: IncomingMessage["headers"];
  rawHeaders: string[];
  body: string;
}

export interface VisitOptions {
  method?: string;
  headers?: OutgoingHttpHeaders;
  body?: string | Buffer;
  host?: string;
}

export const SLUG = "blue-reef";

/** A browser at one preview host, with its cookie once it entered. */
export class PreviewVisitor {
  readonly host: string;
  readonly port: number;
  cookie: string | undefined;
  readonly #fixture: TestGateway;

  constructor(fixture: TestGateway, port: number, slug = SLUG) {
    this.#fixture = fixture;
    this.port = port;
    this.host = `${port}-${slug}.preview.localhost:${fixture.gateway.previewPort}`;
  }

  async enter(claims: Partial<PreviewTicketClaims> = {}): Promise<Answer> {
    const ticket = await this.#fixture.office.preview({ port: this.port, slug: SLUG, ...claims });
    return this.show(ticket);
  }

  /** Shows a ticket and keeps the cookie it gets. */
  async show(ticket: string, to = "/"): Promise<Answer> {
    const query = new URLSearchParams({ ticket, to });
    const answer = await this.get(`${PREVIEW_ENTER_PATH}?${query}`, { headers: { accept: "text/html" } });
    const [cookie] = answer.headers["set-cookie"] ?? [];
    if (cookie !== undefined) this.cookie = cookie.split(";", 1)[0];
    return answer;
  }

  async get(path: string, options: VisitOptions = {}): Promise<Answer> {
    const response = await this.open(path, options);
    return {
      status: response.statusCode ?? 0,
      headers: response.headers,
      rawHeaders: response.rawHeaders,
      body: await text(response),
    };
  }

  /** The response as soon as its head is there. */
  open(path: string, options: VisitOptions = {}): Promise<IncomingMessage> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const request = httpRequest({
      host: "127.0.0.1",
      port: this.#fixture.gateway.previewPort,
      path,
      agent: false,
      method: options.method ?? "GET",
      headers: {
        host: options.host ?? this.host,
        ...(this.cookie !== undefined && { cookie: this.cookie }),
        ...options.headers,
      },
    });
    request.on("error", reject);
    request.on("response", resolve);
    request.end(options.body);
    return promise;
  }

  /** Opens a WebSocket; resolves with the socket after 101, or with the refusing answer. */
  upgrade(path: string, headers: OutgoingHttpHeaders = {}): Promise<{ socket?: Duplex; status: number }> {
    const { promise, resolve, reject } = Promise.withResolvers<{ socket?: Duplex; status: number }>();
    const request = httpRequest({
      host: "127.0.0.1",
      port: this.#fixture.gateway.previewPort,
      path,
      headers: {
        host: this.host,
        connection: "Upgrade",
        upgrade: "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": Buffer.from(randomUUID().slice(0, 16)).toString("base64"),
        ...(this.cookie !== undefined && { cookie: this.cookie }),
        ...headers,
      },
    });
    request.on("error", reject);
    request.on("upgrade", (response, socket, head) => {
      if (head.length > 0) socket.unshift(head);
      resolve({ socket, status: response.statusCode ?? 0 });
    });
    request.on("response", (response) => {
      response.resume();
      resolve({ status: response.statusCode ?? 0 });
    });
    request.end();
    return promise;
  }

  /** Sends these bytes as they are; answers the status line, empty when the connection just ends. */
  async raw(bytes: string): Promise<string> {
    const socket = connect(this.#fixture.gateway.previewPort, "127.0.0.1");
    socket.on("error", () => {});
    socket.end(bytes, "latin1");
    return (await text(socket)).split("\r\n", 1)[0] ?? "";
  }
}
