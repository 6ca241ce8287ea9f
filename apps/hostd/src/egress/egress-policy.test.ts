import { describe, expect, it } from "vitest";
import { isAllowedByPreset, parseTarget } from "./egress-policy.ts";

describe("parseTarget", () => {
  it.each([
    ["Example.ORG", "example.org", false],
    ["example.org.", "example.org", false],
    ["xn--bcher-kva.example", "xn--bcher-kva.example", false],
    ["_acme.example.org", "_acme.example.org", false],
    ["203.0.113.5", "203.0.113.5", true],
    ["[2001:DB8::1]", "2001:db8::1", true],
    ["2001:db8::1", "2001:db8::1", true],
  ])("reads %s", (host, name, isAddress) => {
    expect(parseTarget(host, 80)).toEqual({ host: name, isAddress, port: 80 });
  });

  it.each([
    "",
    ".",
    "..",
    "a..b",
    "-a.org",
    "a-.org",
    "a b.org",
    "a/b",
    "user@host",
    "host:80",
    "a\0b",
    "a\nb",
    "bücher.example",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "010.0.0.1",
    "1.2.3.4.",
    "[1.2.3.4]",
    "[::1",
    "fe80::1%eth0",
    "%31.example.org",
    "a".repeat(64),
    `${"a.".repeat(127)}abc`,
  ])("refuses %j", (host) => {
    expect(() => parseTarget(host, 80)).toThrow(expect.objectContaining({ code: "request.invalid" }));
  });
});

describe("isAllowedByPreset", () => {
  const sources = new Set(["deb.example.org", "203.0.113.9"]);
  const allowed = (host: string, port: number, preset: "off" | "packages" | "open") =>
    isAllowedByPreset(parseTarget(host, port), preset, sources);

  it("lets nothing out when off", () => {
    expect(allowed("deb.example.org", 443, "off")).toBe(false);
  });

  it("lets exactly the image's package hosts out, on the web's ports", () => {
    expect(allowed("deb.example.org", 80, "packages")).toBe(true);
    expect(allowed("DEB.example.org.", 443, "packages")).toBe(true);
    expect(allowed("203.0.113.9", 443, "packages")).toBe(true);
    expect(allowed("deb.example.org", 8080, "packages")).toBe(false);
    expect(allowed("evil.deb.example.org", 443, "packages")).toBe(false);
    expect(allowed("example.org", 443, "packages")).toBe(false);
    expect(allowed("203.0.113.10", 443, "packages")).toBe(false);
  });

  it.each([
    [80, true],
    [443, true],
    [22, true],
    [9418, true],
    [8080, true],
    [8443, true],
    [25, false],
    [465, false],
    [587, false],
    [21, false],
    [3306, false],
    [1, false],
    [65535, false],
  ])("open: port %d is %s", (port, expected) => {
    expect(allowed("example.org", port, "open")).toBe(expected);
  });
});
