import { toBase64 } from "./base64.ts";
import { type ErasureReceipt, erasureReceipt } from "./erasure-receipt.ts";
import type { SigningKey } from "./receipt-key.ts";
import { signedBytes, writeReceiptFile } from "./signed-bytes.ts";

/**
 * The text of the file to keep and give out, byte for byte.
 * @throws ZodError for anything but a finished erasure: what is pending cannot be signed
 */
export async function signReceipt(
  receipt: ErasureReceipt,
  { privateKey, publicKey }: SigningKey,
): Promise<string> {
  const checked = erasureReceipt.parse(receipt);
  if (checked.issuer.keyId !== publicKey.keyId) throw new TypeError("the receipt names another issuer");
  const value = toBase64(
    new Uint8Array(await crypto.subtle.sign("Ed25519", privateKey, signedBytes(checked))),
  );
  return writeReceiptFile({
    receipt: checked,
    signature: { algorithm: "Ed25519", publicKey: publicKey.base64, value },
  });
}
