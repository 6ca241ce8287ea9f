import { generateKeyPairSync, randomBytes } from "node:crypto";
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { join } from "node:path";

/** Made once and kept; the files are 0600 in a 0700 directory. */
export interface Secrets {
  postgresOwnerPassword: string;
  postgresAppPassword: string;
  authSecretFile: string;
  authSecret: string;
  /** Ed25519, PKCS#8 and SPKI PEM. */
  ticketPrivateKeyFile: string;
  ticketPublicKeyFile: string;
}

const SECRET_BYTES = 32;

export function provideSecrets(directory: string): Secrets {
  const at = (name: string) => join(directory, name);
  const random = (name: string) =>
    readOrCreate(at(name), () => randomBytes(SECRET_BYTES).toString("base64url"));
  // The public half is written first: with the private one in place, both are.
  if (!existsSync(at("ticket-private.pem"))) {
    const { privateKey, publicKey } = generateKeyPairSync("ed25519", {
      privateKeyEncoding: { type: "pkcs8", format: "pem" },
      publicKeyEncoding: { type: "spki", format: "pem" },
    });
    writeDurably(at("ticket-public.pem"), publicKey);
    writeDurably(at("ticket-private.pem"), privateKey);
  }
  return {
    postgresOwnerPassword: random("postgres-owner-password"),
    postgresAppPassword: random("postgres-app-password"),
    authSecret: random("auth-secret"),
    authSecretFile: at("auth-secret"),
    ticketPrivateKeyFile: at("ticket-private.pem"),
    ticketPublicKeyFile: at("ticket-public.pem"),
  };
}

function readOrCreate(path: string, create: () => string): string {
  if (!existsSync(path)) writeDurably(path, create());
  return readFileSync(path, "utf8");
}

/** Never half a secret: a password that the database already has cannot be made again. */
function writeDurably(path: string, text: string): void {
  const temporary = `${path}.new`;
  const file = openSync(temporary, "w", 0o600);
  writeSync(file, text);
  fsyncSync(file);
  closeSync(file);
  renameSync(temporary, path);
}
