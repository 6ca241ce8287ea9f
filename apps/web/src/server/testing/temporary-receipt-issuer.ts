import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "@atoll/base/clock";
import { importPublicKey, type PublicKey } from "@atoll/receipt/receipt-key";
import { makeKeyPems } from "@atoll/receipt/testing/sample-receipt";
import { ReceiptIssuer } from "#server/receipts/receipt-issuer.ts";

/** An issuer with a key of its own, and what its receipts are checked with. */
export async function temporaryReceiptIssuer(): Promise<
  { receipts: ReceiptIssuer; publicKey: PublicKey } & AsyncDisposable
> {
  const directory = await mkdtemp(join(tmpdir(), "atoll-receipts-"));
  const [privateFile, publicFile] = [join(directory, "private.pem"), join(directory, "public.pem")];
  const { privatePem, publicPem } = await makeKeyPems();
  await writeFile(privateFile, privatePem, { mode: 0o600 });
  await writeFile(publicFile, publicPem);
  return {
    receipts: new ReceiptIssuer({
      privateFile,
      publicFile,
      origin: "https://atoll.example",
      backupHorizonDays: 30,
      clock: systemClock,
    }),
    publicKey: await importPublicKey(publicPem),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true }),
  };
}
