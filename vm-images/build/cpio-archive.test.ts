import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { cpioArchive } from "./cpio-archive.ts";

const ENTRIES = [
  { path: "bin" },
  { path: "bin/tool", content: Buffer.from("abc"), executable: true },
  { path: "note", content: Buffer.from("hello\n") },
];

test("pads names and contents to four bytes", () => {
  const archive = cpioArchive(ENTRIES);
  expect(archive.length % 4).toBe(0);
  expect(archive.subarray(0, 6).toString()).toBe("070701");
  expect(archive.equals(cpioArchive(ENTRIES))).toBe(true);
});

test("is unpacked by another implementation", () => {
  const listing = execFileSync("busybox", ["cpio", "-tv"], {
    input: cpioArchive(ENTRIES),
    stdio: "pipe",
  }).toString();
  expect(listing).toMatch(/drwxr-xr-x.* bin\n-rwxr-xr-x.* 3 .* bin\/tool\n-rw-r--r--.* 6 .* note/s);
});
