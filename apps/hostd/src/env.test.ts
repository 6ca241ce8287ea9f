import { expect, it } from "vitest";
import { keyStoreChoice, readEnv } from "./env.ts";

const good = {
  ATOLL_DATA: "/data",
  ATOLL_CACHE: "/cache",
  ATOLL_HOSTD_SOCKET: "/run/h.sock",
  ATOLL_LINK_SOCKET: "/run/l.sock",
  ATOLL_TICKET_PUBLIC_KEY_FILE: "/keys/public.pem",
};

it("has defaults for everything that may be left out", () => {
  expect(readEnv(good)).toMatchObject({
    ATOLL_IDLE_PAUSE_SECONDS: 1800,
    ATOLL_ALLOW_EMULATED: false,
    ATOLL_IMAGES: ["base"],
    ATOLL_POOL_SIZE: 2,
    ATOLL_LOG_LEVEL: "info",
  });
});

it("names every fault at once", () => {
  const faulty = {
    ...good,
    ATOLL_DATA: undefined,
    ATOLL_ALLOW_EMULATED: "yes",
    ATOLL_POOL_SIZE: "-1",
    ATOLL_IMAGES: "../x",
  };
  const names = ["ATOLL_DATA", "ATOLL_ALLOW_EMULATED", "ATOLL_POOL_SIZE", "ATOLL_IMAGES"];
  expect(() => readEnv(faulty)).toThrow(new RegExp(names.map((name) => `(?=[^]*${name})`).join("")));
});

it("takes a transit engine for its keys only with its address and its token", () => {
  expect(keyStoreChoice(readEnv(good))).toEqual({ kind: "local" });
  const transit = { ...good, ATOLL_KEY_STORE: "transit" };
  expect(() => readEnv(transit)).toThrow(/ATOLL_TRANSIT_URL[\s\S]*ATOLL_TRANSIT_TOKEN_FILE/);
  const complete = {
    ...transit,
    ATOLL_TRANSIT_URL: "https://vault.example:8200",
    ATOLL_TRANSIT_TOKEN_FILE: "/secrets/token",
  };
  expect(keyStoreChoice(readEnv(complete))).toEqual({
    kind: "transit",
    url: "https://vault.example:8200",
    tokenFile: "/secrets/token",
    mount: "transit",
  });
});
