/**
 * The few calls of the Transit secrets engine's HTTP API (OpenBao, HashiCorp Vault) that the key store makes. Everything but
 * a clear answer is `key.unavailable`: nothing is unlocked, and nothing counted as destroyed, on a guess.
 */
import { readFile, stat } from "node:fs/promises";
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { AtollError } from "@atoll/protocol/atoll-error";
import { z } from "zod";
import { decodeBase64, encodeBase64 } from "./base64-bytes.ts";

export interface TransitClientOptions {
  /** Of the server; https, except on this machine: keys travel in it. */
  url: string;
  /** Where the engine is mounted. */
  mount: string;
  /** Readable by its owner only. Read again at every call, so that it can be renewed. */
  tokenFile: string;
  timeoutMs?: number;
}

const TIMEOUT_MS = 5_000;
/** An answer is a few hundred bytes. */
const ANSWER_MAX_BYTES = 64 * 1024;
const LOOPBACK = new Set(["127.0.0.1", "[::1]", "localhost"]);
const PLAINTEXT_FIELD = Buffer.from('"plaintext":"');
const QUOTE = 0x22;

const errorBody = z.object({ errors: z.array(z.string()) });
const keyBody = z.object({
  data: z.object({ type: z.string(), exportable: z.boolean(), allow_plaintext_backup: z.boolean() }),
});
const cipherBody = z.object({
  data: z.object({ ciphertext: z.string().regex(/^vault:v[0-9]+:[A-Za-z0-9+/=]+$/) }),
});
const hmacBody = z.object({ data: z.object({ hmac: z.string().regex(/^vault:v[0-9]+:[A-Za-z0-9+/=]+$/) }) });

interface Answer {
  status: number;
  body: Buffer;
}

export class TransitClient implements Disposable {
  readonly #base: URL;
  readonly #tokenFile: string;
  readonly #timeoutMs: number;
  readonly #agent: HttpAgent;

  /** @throws Error when the URL would carry keys over a network in the clear */
  constructor(options: TransitClientOptions) {
    const url = new URL(options.url);
    const isLocal = LOOPBACK.has(url.hostname);
    if (url.protocol !== "https:" && !(url.protocol === "http:" && isLocal)) {
      throw new Error("the key service must be reached by https: keys travel to it");
    }
    this.#base = new URL(`v1/${options.mount}/`, url.href.endsWith("/") ? url : `${url.href}/`);
    this.#tokenFile = options.tokenFile;
    this.#timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
    this.#agent =
      url.protocol === "https:" ? new HttpsAgent({ keepAlive: true }) : new HttpAgent({ keepAlive: true });
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }

  /** Makes it unless it is there. Neither it nor a backup of it can be read out. */
  async createKey(name: string): Promise<void> {
    const body = { type: "aes256-gcm96", exportable: false, allow_plaintext_backup: false };
    const answer = await this.#call("POST", `keys/${name}`, Buffer.from(JSON.stringify(body)));
    // Older servers answer nothing here.
    const read = answer.status === 204 ? await this.#call("GET", `keys/${name}`) : answer;
    const { data } = this.#parse(keyBody, read, `keys/${name}`);
    if (data.type !== "aes256-gcm96" || data.exportable || data.allow_plaintext_backup) {
      throw new AtollError("key.unavailable", `transit key ${name} could leave its server`);
    }
  }

  async hasKey(name: string): Promise<boolean> {
    const answer = await this.#call("GET", `keys/${name}`);
    if (answer.status === 200) return true;
    // A mount that is not there is a 404 as well, but one that says something.
    const { success, data } = errorBody.safeParse(json(answer.body));
    if (answer.status === 404 && success && data.errors.length === 0) return false;
    throw refused(answer.status, `keys/${name}`);
  }

  /** Repeatable. Returns when the server says that there is none. */
  async destroyKey(name: string): Promise<void> {
    if (!(await this.hasKey(name))) return;
    const allow = Buffer.from(JSON.stringify({ deletion_allowed: true }));
    await this.#call("POST", `keys/${name}/config`, allow);
    await this.#call("DELETE", `keys/${name}`);
    if (await this.hasKey(name))
      throw new AtollError("key.unavailable", `transit key ${name} is still there`);
  }

  /** `plaintext` stays the caller's to wipe. */
  async encrypt(name: string, plaintext: Uint8Array, associatedData: string): Promise<string> {
    const text = encodeBase64(plaintext);
    const body = Buffer.concat([
      Buffer.from(`{"associated_data":${base64Json(associatedData)},"plaintext":"`),
      text,
      Buffer.from('"}'),
    ]);
    text.fill(0);
    try {
      const answer = await this.#call("POST", `encrypt/${name}`, body);
      return this.#parse(cipherBody, answer, `encrypt/${name}`).data.ciphertext;
    } finally {
      body.fill(0);
    }
  }

  /**
   * The caller wipes the result.
   * @throws AtollError key.not_found when the server has no such key, key.unavailable for every other refusal
   */
  async decrypt(name: string, ciphertext: string, associatedData: string): Promise<Uint8Array> {
    const body = Buffer.from(
      `{"associated_data":${base64Json(associatedData)},"ciphertext":${JSON.stringify(ciphertext)}}`,
    );
    const answer = await this.#call("POST", `decrypt/${name}`, body);
    try {
      if (answer.status === 200) {
        const found = plaintextOf(answer.body);
        if (found !== undefined) return found;
        throw new AtollError("key.unavailable", `decrypt/${name} answered out of shape`);
      }
    } finally {
      answer.body.fill(0);
    }
    // A missing key, another context and a version that is locked out are all 400: only the first is final.
    if (answer.status === 400 && !(await this.hasKey(name))) throw new AtollError("key.not_found");
    throw refused(answer.status, `decrypt/${name}`);
  }

  /** HMAC-SHA-256 of `input` under the key, hex. */
  async hmac(name: string, input: string): Promise<string> {
    const body = Buffer.from(
      JSON.stringify({ input: Buffer.from(input).toString("base64"), algorithm: "sha2-256" }),
    );
    const answer = await this.#call("POST", `hmac/${name}`, body);
    const { hmac } = this.#parse(hmacBody, answer, `hmac/${name}`).data;
    return Buffer.from(hmac.slice(hmac.lastIndexOf(":") + 1), "base64").toString("hex");
  }

  #parse<S extends z.ZodType>(schema: S, { status, body }: Answer, path: string): z.output<S> {
    const parsed = status === 200 ? schema.safeParse(json(body)) : undefined;
    if (parsed?.success) return parsed.data;
    throw refused(status, path);
  }

  async #call(method: string, path: string, body?: Buffer): Promise<Answer> {
    const token = await this.#token();
    try {
      return await this.#exchange(method, path, token, body);
    } catch (cause) {
      if (cause instanceof AtollError) throw cause;
      throw new AtollError("key.unavailable", `the key service does not answer ${path}`, { cause });
    }
  }

  async #exchange(method: string, path: string, token: string, body: Buffer | undefined): Promise<Answer> {
    const url = new URL(path, this.#base);
    const signal = AbortSignal.timeout(this.#timeoutMs);
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const outgoing = (url.protocol === "https:" ? httpsRequest : httpRequest)(
      url,
      {
        method,
        agent: this.#agent,
        signal,
        headers: {
          "x-vault-token": token,
          // Refused by the server when a page of some browser was made to send it.
          "x-vault-request": "true",
          ...(body ? { "content-type": "application/json", "content-length": body.length } : {}),
        },
      },
      resolve,
    );
    outgoing.on("error", reject);
    outgoing.end(body);
    const response = await promise;
    return { status: response.statusCode ?? 0, body: await readBounded(response) };
  }

  async #token(): Promise<string> {
    try {
      const { mode } = await stat(this.#tokenFile);
      if ((mode & 0o077) !== 0) throw new Error("others may read it");
      const token = (await readFile(this.#tokenFile, "utf8")).trim();
      if (!/^[\x21-\x7e]{1,4096}$/.test(token)) throw new Error("it holds no token");
      return token;
    } catch (cause) {
      throw new AtollError("key.unavailable", "the key service's token file cannot be used", { cause });
    }
  }
}

async function readBounded(response: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > ANSWER_MAX_BYTES) throw new Error("answer too large");
    chunks.push(chunk);
  }
  const body = Buffer.concat(chunks);
  for (const chunk of chunks) chunk.fill(0);
  return body;
}

/** Taken out of the bytes of the answer, so that no string ever holds it. */
function plaintextOf(body: Buffer): Uint8Array | undefined {
  const start = body.indexOf(PLAINTEXT_FIELD);
  if (start < 0) return undefined;
  const from = start + PLAINTEXT_FIELD.length;
  const end = body.indexOf(QUOTE, from);
  return end < 0 ? undefined : decodeBase64(body.subarray(from, end));
}

function base64Json(text: string): string {
  return JSON.stringify(Buffer.from(text).toString("base64"));
}

function json(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString("utf8"));
  } catch {
    return undefined;
  }
}

function refused(status: number, path: string): AtollError {
  return new AtollError("key.unavailable", `the key service answered ${status} to ${path}`, {
    details: { status },
  });
}
