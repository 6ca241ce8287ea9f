import { expect, it } from "vitest";
import { readEnv } from "./env.ts";

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
