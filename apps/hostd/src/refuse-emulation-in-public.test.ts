import { expect, it } from "vitest";
import { refuseEmulationInPublic } from "./refuse-emulation-in-public.ts";

const served = (url: string, isAllowed = false) =>
  refuseEmulationInPublic({ ATOLL_WEB_URL: url, ATOLL_ALLOW_EMULATED: isAllowed });

it.each(["http://localhost:7700", "http://127.0.0.1:7700", "http://[::1]:7700", "http://atoll.localhost"])(
  "lets emulated machines serve whoever sits at this one: %s",
  (url) => served(url),
);

it.each([
  "https://atoll.example",
  "http://192.168.1.7:7700",
  "https://localhost.example",
  "http://0.0.0.0:7700",
])("refuses emulated machines to the public, unless the switch is set: %s", (url) => {
  expect(() => served(url)).toThrow(expect.objectContaining({ code: "host.emulation_refused" }));
  served(url, true);
});
