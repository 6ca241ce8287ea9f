import { expect, test } from "vitest";
import { readEnv } from "./env.ts";

const whole = {
  ATOLL_GATEWAY_PORT: "8081",
  ATOLL_PREVIEW_PORT: "8082",
  ATOLL_WEB_URL: "http://localhost:8080",
  ATOLL_LINK_SOCKET: "/run/link.sock",
  ATOLL_TICKET_PUBLIC_KEY_FILE: "/run/ticket.pem",
  ATOLL_DATA: "/data",
};

test("reads a whole environment", () => {
  expect(readEnv(whole)).toEqual({
    gatewayPort: 8081,
    previewPort: 8082,
    webUrl: new URL("http://localhost:8080"),
    gatewayUrl: undefined,
    previewDomain: "preview.localhost",
    linkSocketPath: "/run/link.sock",
    ticketPublicKeyFile: "/run/ticket.pem",
    dataDirectory: "/data",
    logLevel: "info",
  });
});

test("names every faulty variable at once", () => {
  const faulty = {
    ...whole,
    ATOLL_GATEWAY_PORT: "80 80",
    ATOLL_WEB_URL: "javascript:1",
    ATOLL_DATA: undefined,
  };
  for (const name of ["ATOLL_GATEWAY_PORT", "ATOLL_WEB_URL", "ATOLL_DATA"]) {
    expect(() => readEnv(faulty)).toThrow(name);
  }
});
