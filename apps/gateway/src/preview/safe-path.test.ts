import { expect, test } from "vitest";
import { safePath } from "./safe-path.ts";

test.each([
  ["/", "/"],
  ["/a/b?c=d&e#f", "/a/b?c=d&e#f"],
  ["/a/../b", "/b"],
  ["/päge?q=ü", "/p%C3%A4ge?q=%C3%BC"],
  ["/a\r\nSet-Cookie: x=1", "/aSet-Cookie:%20x=1"],
])("keeps %j as %j", (to, path) => {
  expect(safePath(to)).toBe(path);
});

test.each([
  null,
  "",
  "a",
  "?a",
  "//evil",
  "/\\evil",
  "\\\\evil",
  "/\t/evil",
  "/\n/evil",
  "/.//evil",
  "/..//evil",
  "/x/..//evil",
  "/.\\/evil",
  "https:evil",
  "https://evil/",
  "javascript:alert(1)",
  "//user@evil/",
  "///evil",
])("%j leads to the start page", (to) => {
  expect(safePath(to)).toBe("/");
});

test("an encoded slash stays a path of this host", () => {
  expect(safePath("/%2f/evil")).toBe("/%2f/evil");
  expect(safePath("/%2e%2e//evil")).toBe("/");
});
