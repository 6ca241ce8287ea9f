import { readFile } from "node:fs/promises";

export interface ListeningSocket {
  port: number;
  address: string;
  inode: string;
}

const LISTEN_STATE = "0A";

/** The kernel's tables of TCP sockets, those that listen. */
export async function readListeningSockets(): Promise<ListeningSocket[]> {
  const [ipv4, ipv6] = await Promise.all([readTable("/proc/net/tcp"), readTable("/proc/net/tcp6")]);
  return [...parseSocketTable(ipv4), ...parseSocketTable(ipv6)];
}

export function parseSocketTable(text: string): ListeningSocket[] {
  const sockets: ListeningSocket[] = [];
  for (const line of text.split("\n").slice(1)) {
    const fields = line.trim().split(/\s+/);
    const [hexAddress, hexPort] = (fields[1] ?? "").split(":");
    const inode = fields[9];
    if (
      fields[3] !== LISTEN_STATE ||
      hexAddress === undefined ||
      hexPort === undefined ||
      inode === undefined
    ) {
      continue;
    }
    sockets.push({ port: Number.parseInt(hexPort, 16), address: addressOf(hexAddress), inode });
  }
  return sockets;
}

/** A table is missing where its protocol is. */
async function readTable(path: string): Promise<string> {
  return readFile(path, "latin1").catch(() => "");
}

/** The kernel prints each 32-bit word of an address in the machine's byte order. */
function addressOf(hex: string): string {
  const bytes = Buffer.from(hex, "hex").swap32();
  if (bytes.length === 4) return bytes.join(".");
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16));
  const text = groups.join(":");
  const mapped = /^0:0:0:0:0:ffff:/.exec(text);
  if (mapped) return `::ffff:${bytes.subarray(12).join(".")}`;
  return shortened(groups);
}

/** The longest run of zero groups as `::`. */
function shortened(groups: readonly string[]): string {
  const runs = [...groups.join(":").matchAll(/(?:^|:)(0(?::0)+)(?=:|$)/g)];
  const longest = runs.reduce<RegExpExecArray | undefined>(
    (best, run) => (best === undefined || (run[1] ?? "").length > (best[1] ?? "").length ? run : best),
    undefined,
  );
  if (longest === undefined) return groups.join(":");
  const text = groups.join(":");
  const before = text.slice(0, longest.index);
  const after = text.slice(longest.index + longest[0].length).replace(/^:/, "");
  return `${before}::${after}`;
}
