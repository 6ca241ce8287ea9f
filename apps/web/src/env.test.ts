import { describe, expect, it } from "vitest";
import { parseEnv } from "./env.ts";

const least = {
  DATABASE_URL: "postgresql://app@localhost/atoll",
  ATOLL_WEB_URL: "http://localhost:7000",
  ATOLL_HOSTD_SOCKET: "/run/atoll/hostd.sock",
  ATOLL_TICKET_PRIVATE_KEY_FILE: "/run/atoll/ticket.pem",
  ATOLL_RECEIPT_PRIVATE_KEY_FILE: "/run/atoll/receipt-private.pem",
  ATOLL_RECEIPT_PUBLIC_KEY_FILE: "/run/atoll/receipt-public.pem",
  AUTH_SECRET: "0123456789abcdef0123456789abcdef",
};

describe("environment", () => {
  it("derives the gateway's address from the web address and the port", () => {
    const parsed = parseEnv({ ...least, ATOLL_GATEWAY_PORT: "7101", ATOLL_GATEWAY_URL: "" });
    expect(parsed.gatewayUrl.origin).toBe("http://localhost:7101");
    expect(parsed.oidc).toBeUndefined();
  });

  it("trusts no proxy that is not named by its address", () => {
    expect([...parseEnv(least).trustedProxies]).toEqual([]);
    const named = parseEnv({ ...least, ATOLL_TRUSTED_PROXIES: "127.0.0.1, ::1" });
    expect([...named.trustedProxies]).toEqual(["127.0.0.1", "::1"]);
    expect(() => parseEnv({ ...least, ATOLL_TRUSTED_PROXIES: "proxy.example" })).toThrow("TRUSTED_PROXIES");
  });

  it("names every fault at once", () => {
    const broken = {
      ATOLL_WEB_URL: "ftp://x",
      ATOLL_OIDC_ISSUER: "https://id.example",
      ATOLL_GATEWAY_PORT: "0",
    };
    for (const name of ["DATABASE_URL", "ATOLL_WEB_URL", "ATOLL_GATEWAY_PORT", "ATOLL_HOSTD_SOCKET"]) {
      expect(() => parseEnv(broken)).toThrow(name);
    }
    expect(() => parseEnv({ ...least, ATOLL_OIDC_ISSUER: "https://id.example" })).toThrow("belong together");
    expect(() => parseEnv({ ...least, AUTH_SECRET: undefined })).toThrow("AUTH_SECRET");
  });
});
