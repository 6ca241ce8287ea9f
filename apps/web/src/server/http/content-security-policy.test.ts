import { expect, it } from "vitest";
import { contentSecurityPolicy } from "./content-security-policy.ts";

it("lets in our own scripts by nonce, the gateway's socket and preview frames, and nothing else", () => {
  const policy = contentSecurityPolicy({
    nonce: "abc",
    gatewayUrl: new URL("https://gateway.example:8443"),
    previewOrigin: "https://*.preview.example",
    providerOrigin: undefined,
    isDevelopment: false,
  });
  const directives = new Map(
    policy.split("; ").map((directive) => {
      const [name = "", ...values] = directive.split(" ");
      return [name, values];
    }),
  );
  expect(directives.get("script-src")).toEqual(["'self'", "'nonce-abc'", "'strict-dynamic'"]);
  expect(directives.get("connect-src")).toEqual(["'self'", "wss://gateway.example:8443"]);
  expect(directives.get("frame-src")).toEqual(["https://*.preview.example"]);
  for (const name of ["object-src", "base-uri", "frame-ancestors"])
    expect(directives.get(name)).toEqual(["'none'"]);
  expect(policy).not.toContain("unsafe-eval");
});
