/** The log lies in memory until the VM ends, and a program may make us write: enough is enough. */
const LINES_MAX = 500;

export type Log = (line: string) => void;

export function createLog(write: (text: string) => void): Log {
  let count = 0;
  return (line) => {
    count++;
    if (count > LINES_MAX) return;
    const flat = line.replace(/\s+/g, " ").slice(0, 500);
    write(count === LINES_MAX ? "atoll-agent: no more lines in this life\n" : `atoll-agent: ${flat}\n`);
  };
}
