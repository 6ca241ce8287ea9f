import { canonicalJson } from "./canonical-json.ts";
import type { ErasureReceipt, ReceiptFile } from "./erasure-receipt.ts";

/** Keeps a signature from meaning something elsewhere. */
const LABEL = "atoll erasure receipt 1\n";

/** What is signed. */
export function signedBytes(receipt: ErasureReceipt): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(LABEL + canonicalJson(receipt));
}

/** The one form of the file, for people to read: verification asks for it byte for byte. */
export function writeReceiptFile({ receipt, signature }: ReceiptFile): string {
  const sorted: unknown = JSON.parse(canonicalJson({ receipt, signature }));
  return `${JSON.stringify(sorted, null, 2)}\n`;
}
