import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { AtollError } from "@atoll/protocol/atoll-error";
import { describeReceipt } from "@atoll/receipt/describe-receipt";
import { INVALID_REASONS } from "@atoll/receipt/invalid-reasons";
import { importPublicKey, type PublicKey } from "@atoll/receipt/receipt-key";
import { type InvalidReason, type VerifiedReceipt, verifyReceipt } from "@atoll/receipt/verify-receipt";

const HELP = `Usage: atoll verify-receipt FILE [--key FILE]

Checks an erasure receipt. Nothing is sent or fetched.

  FILE        the receipt as it was downloaded
  --key FILE  public key (PEM) that must have signed it; get it from the service that erased, at
              /receipt-key.pem, best before you need it. Without it only this is checked: that the
              receipt was not changed since somebody signed it.
  --help      this text

Exit codes: 0 it holds, 1 it does not hold, 2 it could not be checked.
`;

export async function verifyReceiptCommand(args: readonly string[]): Promise<number> {
  const parsed = parse(args);
  if (typeof parsed === "string") return complain(`${parsed}\n\n${HELP}`);
  if (parsed.isHelp) {
    process.stdout.write(HELP);
    return 0;
  }
  let text: string;
  let issuer: PublicKey | undefined;
  try {
    text = await readFile(parsed.file, "utf8");
    issuer =
      parsed.keyFile === undefined
        ? undefined
        : await importPublicKey(await readFile(parsed.keyFile, "utf8"));
  } catch (error) {
    return complain(`${error instanceof Error ? error.message : String(error)}\n`);
  }
  try {
    process.stdout.write(answer(await verifyReceipt(text, issuer)));
    return 0;
  } catch (error) {
    if (!(error instanceof AtollError) || error.code !== "receipt.invalid") throw error;
    const reason = error.details?.reason as InvalidReason;
    process.stdout.write(
      `This receipt does not hold (receipt.invalid: ${reason}).\n${INVALID_REASONS[reason]}\n`,
    );
    return 1;
  }
}

interface Parsed {
  file: string;
  keyFile: string | undefined;
  isHelp: boolean;
}

/** A string says what is wrong. */
function parse(args: readonly string[]): Parsed | string {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { key: { type: "string" }, help: { type: "boolean", short: "h" } },
    });
    const [file, ...more] = positionals;
    if (values.help) return { file: "", keyFile: undefined, isHelp: true };
    if (file === undefined || more.length > 0) return "verify-receipt takes exactly one file";
    return { file, keyFile: values.key, isHelp: false };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function answer({ receipt, keyId, isIssuerKnown }: VerifiedReceipt): string {
  const signer = isIssuerKnown
    ? `It was signed with the key you gave, ${keyId}.`
    : `It was signed with key ${keyId}, which came with the file: anybody could have made that key. Compare it with the one the service publishes, or give it by --key.`;
  return [
    `This receipt holds: nothing in it was changed since it was signed.`,
    signer,
    "",
    "What it states:",
    ...describeReceipt(receipt).map((sentence) => `  ${sentence}`),
    ...receipt.keys.map((key) => `  ${key.of} key ${key.commitment}`),
    "",
    "What it cannot prove:",
    ...receipt.cannotProve.map((sentence) => `  ${sentence}`),
    "",
  ].join("\n");
}

function complain(text: string): number {
  process.stderr.write(`atoll: ${text}`);
  return 2;
}
