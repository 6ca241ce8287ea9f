import { closeSync, openSync, readSync } from "node:fs";

/**
 * Hexadecimal digits from the kernel, whose generator is reseeded at every handshake. Node's own generator would go
 * on alike in every machine that was made from one template.
 */
export function randomName(byteCount: number): string {
  const bytes = Buffer.alloc(byteCount);
  const fd = openSync("/dev/urandom", "r");
  try {
    readSync(fd, bytes);
  } finally {
    closeSync(fd);
  }
  return bytes.toString("hex");
}
