import { generateKeyPairSync, randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { makeDirectory } from "@atoll/durable/make-directory";
import { removeDurably } from "@atoll/durable/remove-durably";
import { replaceFile } from "@atoll/durable/replace-file";

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

/** Never half a secret: a password that the database already has cannot be made again. */
export async function provideSecrets(directory: string): Promise<Secrets> {
  await makeDirectory(directory);
  // Of a start that ended while it wrote one.
  const unfinished = (await readdir(directory)).filter((name) => name.endsWith(".tmp"));
  for (const name of unfinished) await removeDurably(join(directory, name));
  const at = (name: string) => join(directory, name);
  const random = (name: string) =>
    readOrCreate(at(name), () => randomBytes(SECRET_BYTES).toString("base64url"));
  const ticket = { privateFile: at("ticket-private.pem"), publicFile: at("ticket-public.pem") };
  const receipt = { privateFile: at("receipt-private.pem"), publicFile: at("receipt-public.pem") };
  for (const pair of [ticket, receipt]) await provideKeyPair(pair);
  return {
    postgresOwnerPassword: await random("postgres-owner-password"),
    postgresAppPassword: await random("postgres-app-password"),
    authSecret: await random("auth-secret"),
    authSecretFile: at("auth-secret"),
    ticketPrivateKeyFile: ticket.privateFile,
    ticketPublicKeyFile: ticket.publicFile,
    receiptPrivateKeyFile: receipt.privateFile,
    receiptPublicKeyFile: receipt.publicFile,
  };
}

async function provideKeyPair(files: { privateFile: string; publicFile: string }): Promise<void> {
  if (existsSync(files.privateFile)) return;
  const { privateKey, publicKey } = generateKeyPairSync("ed25519", {
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
    publicKeyEncoding: { type: "spki", format: "pem" },
  });
  // The public half first: with the private one in place, both are.
  await replaceFile(files.publicFile, publicKey);
  await replaceFile(files.privateFile, privateKey);
}

async function readOrCreate(path: string, create: () => string): Promise<string> {
  if (!existsSync(path)) await replaceFile(path, create());
  return readFile(path, "utf8");
}
