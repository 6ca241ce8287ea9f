import { expect, it } from "vitest";
import { safeCallbackPath } from "./safe-callback-path.ts";

it.each(["/", "/w/calm-otter-x7k2m9?file=a.ts", "/settings#plan"])("keeps the path %s", (path) => {
  expect(safeCallbackPath(path)).toBe(path);
});

it.each([
  "https://evil.example",
  "//evil.example",
  "/\\evil.example",
  "/\t/evil.example",
  "/\n//evil.example",
  "/a\\b",
  "javascript:alert(1)",
  "",
  undefined,
  ["/a"],
  `/${"a".repeat(3000)}`,
])("goes to the dashboard instead of %j", (value) => {
  expect(safeCallbackPath(value)).toBe("/");
});
