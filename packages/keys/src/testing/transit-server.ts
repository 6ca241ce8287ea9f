/**
 * Stand-in for the Transit engine's HTTP API of OpenBao and HashiCorp Vault: real AES-256-GCM and HMAC, key versions, rules of
 * deletion and export, permissions, sealing, and the status codes and bodies the real servers give. In memory, loopback only.
 */
import { createCipheriv, createDecipheriv, createHmac, randomBytes } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

interface KeyVersion {
  key: Buffer;
  hmacKey: Buffer;
  createdAtSeconds: number;
}

interface TransitKey {
  versions: KeyVersion[];
  exportable: boolean;
  allowPlaintextBackup: boolean;
  deletionAllowed: boolean;
  minDecryptionVersion: number;
}

interface Reply {
  status: number;
  body?: unknown;
}

const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const CIPHERTEXT = /^vault:v([0-9]+):([A-Za-z0-9+/]+=*)$/;

export class TransitServer implements AsyncDisposable {
  readonly keys = new Map<string, TransitKey>();
  /** Of every request, in order: what a test may count. */
  readonly calls: string[] = [];
  readonly token = `hvs.${randomBytes(18).toString("base64url")}`;
  readonly mount = "transit";
  isSealed = false;
  /** Answers instead of everything, or never when it is `hang`. */
  fault: Reply | "hang" | undefined;
  /** A token that may create on `encrypt/` makes missing keys there; a careful policy does not allow that. */
  mayCreateByEncrypting = false;
  readonly #server = createServer((request, response) => void this.#serve(request, response));

  static async start(): Promise<TransitServer> {
    const server = new TransitServer();
    await new Promise<void>((resolve) => server.#server.listen(0, "127.0.0.1", resolve));
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    this.calls.push(`${request.method} ${request.url}`);
    if (this.fault === "hang") return;
    const reply = this.fault ?? this.#answer(request, Buffer.concat(chunks).toString("utf8"));
    response.writeHead(reply.status, { "content-type": "application/json", "cache-control": "no-store" });
    response.end(reply.body === undefined ? undefined : `${JSON.stringify(reply.body)}\n`);
  }

  #answer(request: IncomingMessage, text: string): Reply {
    const path = (request.url ?? "").replace(/^\/v1\//, "");
    if (path === "sys/seal-status") return { status: 200, body: { sealed: this.isSealed, type: "shamir" } };
    if (this.isSealed) return failed(503, "Vault is sealed");
    if (request.headers["x-vault-token"] !== this.token) return failed(403, "permission denied");
    if (!path.startsWith(`${this.mount}/`))
      return failed(404, `no handler for route "${path}". route entry not found.`);
    let body: Record<string, unknown>;
    try {
      body = text === "" ? {} : JSON.parse(text);
    } catch {
      return failed(400, "failed to parse JSON input: invalid character");
    }
    const [verb = "", name = "", rest] = path.slice(this.mount.length + 1).split("/");
    const method = request.method === "PUT" ? "POST" : request.method;
    if (!/^\w(?:[\w.-]*\w)?$/.test(name)) return failed(404, "unsupported path");
    switch (`${method} ${verb}${rest === undefined ? "" : `/${rest}`}`) {
      case "POST keys":
        return this.#create(name, body);
      case "GET keys":
        return this.#read(name);
      case "DELETE keys":
        return this.#delete(name);
      case "POST keys/config":
        return this.#configure(name, body);
      case "POST keys/rotate":
        return this.#rotate(name);
      case "POST encrypt":
        return this.#encrypt(name, body);
      case "POST decrypt":
        return this.#decrypt(name, body);
      case "POST hmac":
        return this.#hmac(name, body);
      default:
        // `export/encryption-key/:name`: the name is the third part.
        return verb === "export" && rest !== undefined
          ? this.#export(rest)
          : failed(405, "unsupported operation");
    }
  }

  #create(name: string, body: Record<string, unknown>): Reply {
    const type = body.type ?? "aes256-gcm96";
    if (type !== "aes256-gcm96") return failed(400, `unknown key type ${String(type)}`);
    const isNew = !this.keys.has(name);
    if (isNew) {
      this.keys.set(name, {
        versions: [newVersion()],
        exportable: body.exportable === true,
        allowPlaintextBackup: body.allow_plaintext_backup === true,
        deletionAllowed: false,
        minDecryptionVersion: 1,
      });
    }
    const warnings = isNew ? null : [`key ${name} already existed`];
    return this.#describe(name, warnings);
  }

  #read(name: string): Reply {
    return this.keys.has(name) ? this.#describe(name, null) : failed(404);
  }

  #delete(name: string): Reply {
    const key = this.keys.get(name);
    const fault =
      key === undefined
        ? "could not delete key; not found"
        : key.deletionAllowed
          ? undefined
          : "deletion is not allowed for this key";
    if (fault !== undefined) return failed(400, `error deleting policy ${name}: ${fault}`);
    this.keys.delete(name);
    return { status: 204 };
  }

  #configure(name: string, body: Record<string, unknown>): Reply {
    const key = this.keys.get(name);
    if (key === undefined) return failed(400, `no existing key named ${name} could be found`);
    if (typeof body.deletion_allowed === "boolean") key.deletionAllowed = body.deletion_allowed;
    // These two can be switched on and never off again.
    if (body.exportable === true) key.exportable = true;
    if (body.allow_plaintext_backup === true) key.allowPlaintextBackup = true;
    if (typeof body.min_decryption_version === "number") {
      const wanted = Math.max(1, body.min_decryption_version);
      if (wanted > key.versions.length) {
        return failed(
          400,
          `cannot set min decryption version of ${wanted}, latest key version is ${key.versions.length}`,
        );
      }
      key.minDecryptionVersion = wanted;
    }
    return this.#describe(name, null);
  }

  #rotate(name: string): Reply {
    const key = this.keys.get(name);
    if (key === undefined) return failed(400, "key not found");
    key.versions.push(newVersion());
    return this.#describe(name, null);
  }

  #encrypt(name: string, body: Record<string, unknown>): Reply {
    if (typeof body.plaintext !== "string") return failed(400, "missing plaintext to encrypt");
    if (!this.keys.has(name)) {
      if (!this.mayCreateByEncrypting) return failed(403, "1 error occurred:\n\t* permission denied\n\n");
      this.#create(name, {});
    }
    const versions = this.keys.get(name)?.versions ?? [];
    const latest = versions.at(-1);
    if (latest === undefined) return failed(400, "encryption key not found");
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv("aes-256-gcm", latest.key, nonce).setAAD(bytesOf(body.associated_data));
    const sealed = Buffer.concat([
      nonce,
      cipher.update(Buffer.from(body.plaintext, "base64")),
      cipher.final(),
      cipher.getAuthTag(),
    ]);
    return answer({
      ciphertext: `vault:v${versions.length}:${sealed.toString("base64")}`,
      key_version: versions.length,
    });
  }

  #decrypt(name: string, body: Record<string, unknown>): Reply {
    if (typeof body.ciphertext !== "string" || body.ciphertext === "")
      return failed(400, "missing ciphertext to decrypt");
    const key = this.keys.get(name);
    if (key === undefined) return failed(400, "encryption key not found");
    const [, version = "", text = ""] = CIPHERTEXT.exec(body.ciphertext) ?? [];
    if (version === "") return failed(400, "invalid ciphertext: no prefix");
    if (Number(version) > key.versions.length) return failed(400, "invalid ciphertext: version is too new");
    if (Number(version) < key.minDecryptionVersion) {
      return failed(400, "ciphertext or signature version is disallowed by policy (too old)");
    }
    const sealed = Buffer.from(text, "base64");
    if (sealed.length < NONCE_BYTES + TAG_BYTES) return failed(400, "invalid ciphertext length");
    const used = key.versions[Number(version) - 1];
    if (used === undefined) return failed(400, "invalid ciphertext: version could not be decoded");
    try {
      const decipher = createDecipheriv("aes-256-gcm", used.key, sealed.subarray(0, NONCE_BYTES))
        .setAAD(bytesOf(body.associated_data))
        .setAuthTag(sealed.subarray(-TAG_BYTES));
      const plain = Buffer.concat([
        decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES)),
        decipher.final(),
      ]);
      return answer({ plaintext: plain.toString("base64") });
    } catch {
      return failed(400, "cipher: message authentication failed");
    }
  }

  #hmac(name: string, body: Record<string, unknown>): Reply {
    const versions = this.keys.get(name)?.versions;
    const latest = versions?.at(-1);
    if (versions === undefined || latest === undefined) return failed(400, "encryption key not found");
    if (body.algorithm !== undefined && body.algorithm !== "sha2-256")
      return failed(400, "unsupported algorithm");
    const hmac = createHmac("sha256", latest.hmacKey).update(bytesOf(body.input)).digest("base64");
    return answer({ hmac: `vault:v${versions.length}:${hmac}` });
  }

  #export(name: string): Reply {
    const key = this.keys.get(name);
    if (key === undefined) return failed(404);
    if (!key.exportable) return failed(400, "private key material is not exportable");
    const keys = Object.fromEntries(
      key.versions.map((each, index) => [index + 1, each.key.toString("base64")]),
    );
    return answer({ name, type: "aes256-gcm96", keys });
  }

  #describe(name: string, warnings: string[] | null): Reply {
    const key = this.keys.get(name);
    if (key === undefined) return failed(404);
    return answer(
      {
        name,
        type: "aes256-gcm96",
        keys: Object.fromEntries(key.versions.map((each, index) => [index + 1, each.createdAtSeconds])),
        latest_version: key.versions.length,
        min_available_version: 0,
        min_decryption_version: key.minDecryptionVersion,
        min_encryption_version: 0,
        deletion_allowed: key.deletionAllowed,
        exportable: key.exportable,
        allow_plaintext_backup: key.allowPlaintextBackup,
        derived: false,
        imported_key: false,
        auto_rotate_period: 0,
        supports_encryption: true,
        supports_decryption: true,
        supports_derivation: true,
        supports_signing: false,
      },
      warnings,
    );
  }
}

function newVersion(): KeyVersion {
  return { key: randomBytes(32), hmacKey: randomBytes(32), createdAtSeconds: Math.floor(Date.now() / 1000) };
}

function bytesOf(base64: unknown): Buffer {
  return typeof base64 === "string" ? Buffer.from(base64, "base64") : Buffer.alloc(0);
}

function answer(data: Record<string, unknown>, warnings: string[] | null = null): Reply {
  return {
    status: 200,
    body: {
      request_id: crypto.randomUUID(),
      lease_id: "",
      renewable: false,
      lease_duration: 0,
      data,
      wrap_info: null,
      warnings,
      auth: null,
    },
  };
}

/** A thing that is not there has no words. */
function failed(status: number, ...errors: string[]): Reply {
  return { status, body: { errors } };
}
