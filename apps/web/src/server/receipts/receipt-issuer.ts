import { readFile } from "node:fs/promises";
import type { Clock } from "@atoll/base/clock";
import { importSigningKey, type SigningKey } from "@atoll/receipt/receipt-key";
import { signReceipt } from "@atoll/receipt/sign-receipt";
import { type ErasureFacts, receiptOf } from "./receipt-of.ts";

export interface ReceiptIssuerOptions {
  /** PKCS #8 and SPKI PEM of one Ed25519 pair. Read at the first use. */
  privateFile: string;
  publicFile: string;
  /** Whose statement a receipt is. */
  origin: string;
  backupHorizonDays: number | undefined;
  clock: Clock;
}

/** Signs what was erased. The only place with the receipt key. */
export class ReceiptIssuer {
  readonly #options: ReceiptIssuerOptions;
  #key: SigningKey | undefined;

  constructor(options: ReceiptIssuerOptions) {
    this.#options = options;
  }

  /** The file of the receipt, byte for byte as it is kept and given out. */
  async issue(facts: ErasureFacts): Promise<string> {
    const { origin, backupHorizonDays, clock } = this.#options;
    const key = await this.#signingKey();
    const issuer = { origin, keyId: key.publicKey.keyId, backupHorizonDays };
    return signReceipt(receiptOf(facts, issuer, Math.floor(clock.now())), key);
  }

  /** SPKI PEM: what others check receipts with. */
  publicPem(): Promise<string> {
    return readFile(/* turbopackIgnore: true */ this.#options.publicFile, "utf8");
  }

  async keyId(): Promise<string> {
    return (await this.#signingKey()).publicKey.keyId;
  }

  async #signingKey(): Promise<SigningKey> {
    this.#key ??= await importSigningKey({
      privatePem: await readFile(/* turbopackIgnore: true */ this.#options.privateFile, "utf8"),
      publicPem: await this.publicPem(),
    });
    return this.#key;
  }
}
