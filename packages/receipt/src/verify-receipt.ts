import { AtollError } from "@atoll/protocol/atoll-error";
import { fromBase64 } from "./base64.ts";
import { type ErasureReceipt, type ReceiptFile, receiptFile } from "./erasure-receipt.ts";
import { importRawPublicKey, type PublicKey } from "./receipt-key.ts";
import { signedBytes, writeReceiptFile } from "./signed-bytes.ts";

/** Why a receipt does not hold; `details.reason` of the error. */
export type InvalidReason = "unreadable" | "version" | "form" | "changed" | "signature" | "issuer";

export interface VerifiedReceipt {
  receipt: ErasureReceipt;
  /** Of the key that signed it. */
  keyId: string;
  /** False: the key came with the file, and whose it is remains to be checked by hand. */
  isIssuerKnown: boolean;
}

/** A receipt with 10,000 keys has about 4 MB. */
const FILE_MAX_CHARS = 8 * 1024 * 1024;

/**
 * @param issuer the key it must be signed with; without it any key will do, and the answer says so
 * @throws AtollError receipt.invalid with the reason in its details
 */
export async function verifyReceipt(text: string, issuer?: PublicKey): Promise<VerifiedReceipt> {
  const file = parse(text);
  const { receipt, signature } = file;
  // Every byte counts, also in what readers skip: a name given twice, a space that hides something.
  if (writeReceiptFile(file) !== text.replaceAll("\r\n", "\n")) {
    throw invalid("changed", "it is not written as it was issued");
  }
  const key = await importRawPublicKey(signature.publicKey);
  if (key.keyId !== receipt.issuer.keyId)
    throw invalid("issuer", "it names another key than it was signed with");
  if (issuer !== undefined && issuer.keyId !== key.keyId) {
    throw invalid("issuer", "it was signed with another key than the one expected");
  }
  const holds = await crypto.subtle.verify(
    "Ed25519",
    key.key,
    fromBase64(signature.value),
    signedBytes(receipt),
  );
  if (!holds) throw invalid("signature", "its signature is not of these facts");
  return { receipt, keyId: key.keyId, isIssuerKnown: issuer !== undefined };
}

function parse(text: string): ReceiptFile {
  if (text.length > FILE_MAX_CHARS) throw invalid("unreadable", "it is far too large");
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw invalid("unreadable", "it is not JSON", cause);
  }
  const parsed = receiptFile.safeParse(value);
  if (parsed.success) return parsed.data;
  if (isOfAnotherVersion(value)) throw invalid("version", "its version is not known here", parsed.error);
  throw invalid("form", "it does not have the form of a receipt", parsed.error);
}

function isOfAnotherVersion(value: unknown): boolean {
  const receipt = (value as { receipt?: { format?: unknown; version?: unknown } } | null)?.receipt;
  return receipt?.format === "atoll-erasure-receipt" && receipt.version !== 1;
}

function invalid(reason: InvalidReason, message: string, cause?: unknown): AtollError {
  return new AtollError("receipt.invalid", message, { cause, details: { reason } });
}
