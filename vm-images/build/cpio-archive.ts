/** One entry of an initramfs. Owner is root, date 1970, so that equal contents give equal bytes. */
export interface CpioEntry {
  path: string;
  /** Absent for a folder. */
  content?: Uint8Array;
  executable?: boolean;
}

const FOLDER = 0o040755;
const FILE = 0o100644;
const EXECUTABLE_FILE = 0o100755;

/** The "newc" format the kernel unpacks: 13 fields of 8 hex digits, name and data padded to 4 bytes. */
export function cpioArchive(entries: readonly CpioEntry[]): Buffer {
  const parts: Uint8Array[] = [];
  const add = (inode: number, mode: number, path: string, content: Uint8Array) => {
    const name = Buffer.from(`${path}\0`);
    const links = mode === FOLDER ? 2 : 1;
    const fields = [inode, mode, 0, 0, links, 0, content.length, 0, 0, 0, 0, name.length, 0];
    const header = `070701${fields.map((field) => field.toString(16).padStart(8, "0")).join("")}`;
    parts.push(padded(Buffer.concat([Buffer.from(header), name])), padded(content));
  };
  for (const [index, { path, content, executable }] of entries.entries()) {
    const mode = content === undefined ? FOLDER : executable === true ? EXECUTABLE_FILE : FILE;
    add(index + 1, mode, path, content ?? Buffer.alloc(0));
  }
  add(0, 0, "TRAILER!!!", Buffer.alloc(0));
  return Buffer.concat(parts);
}

function padded(data: Uint8Array): Uint8Array {
  const rest = data.length % 4;
  return rest === 0 ? data : Buffer.concat([data, Buffer.alloc(4 - rest)]);
}
