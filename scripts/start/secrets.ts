import { generateKeyPairSync, randomBytes } from "node:crypto";
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";

/** Made once and kept; the files are 0600 in a 0700 directory. */
export interface Secrets {
  postgresOwnerPassword: string;
  postgresAppPassword: string;
  authSecretFile: string;
  authSecret: string;
  /** Ed25519, PKCS#8 and SPKI PEM. */
  ticketPrivateKeyFile: string;
  ticketPublicKeyFile: string;
  /** The same of the key that signs erasure receipts: old receipts are checked against it, so it is never made anew. */
  receiptPrivateKeyFile: string;
  receiptPublicKeyFile: string;
}

const SECRET_BYTES = 32;

export function provideSecrets(directory: string): Secrets {
  const at = (name: string) => join(directory, name);
  const random = (name: string) =>
    readOrCreate(at(name), () => randomBytes(SECRET_BYTES).toString("base64url"));
  const ticket = { privateFile: at("ticket-private.pem"), publicFile: at("ticket-public.pem") };
  const receipt = { privateFile: at("receipt-private.pem"), publicFile: at("receipt-public.pem") };
  for (const pair of [ticket, receipt]) provideKeyPair(pair);
  return {
    postgresOwnerPassword: random("postgres-owner-password"),
    postgresAppPassword: random("postgres-app-password"),
    authSecret: random("auth-secret"),
    authSecretFile: at("auth-secret"),
    ticketPrivateKeyFile: ticket.privateFile,
    ticketPublicKeyFile: ticket.publicFile,
    receiptPrivateKeyFile: receipt.privateFile,
    receiptPublicKeyFile: receipt.publicFile,
  };
}

function provideKeyPair({ privateFile, publicFile }: { privateFile: string; publicFile: string }): void {
  if (existsSync(privateFile)) return;
  const { privateKey, publicKey } = generateKeyPairSync("ed25519", {
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
    publicKeyEncoding: { type: "spki", format: "pem" },
  });
  // The public half first: with the private one in place, both are.
  writeDurably(publicFile, publicKey);
  writeDurably(privateFile, privateKey);
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
  const directory = openSync(dirname(path), "r");
  fsyncSync(directory);
  closeSync(directory);
}
