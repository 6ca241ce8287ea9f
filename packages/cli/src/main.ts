import { verifyReceiptCommand } from "./verify-receipt-command.ts";

const HELP = `Usage: atoll <command>

Commands:
  verify-receipt FILE [--key FILE]   Check an erasure receipt, without any network

atoll <command> --help tells more.
`;

/** Answers the exit code: 0 done, 1 the answer is no, 2 it could not be tried. */
export async function main(args: readonly string[]): Promise<number> {
  const [command, ...rest] = args;
  switch (command) {
    case "verify-receipt":
      return verifyReceiptCommand(rest);
    case "--help":
    case "-h":
    case "help":
      process.stdout.write(HELP);
      return 0;
    default:
      process.stderr.write(
        command === undefined ? HELP : `atoll: there is no command "${command}"\n\n${HELP}`,
      );
      return 2;
  }
}
