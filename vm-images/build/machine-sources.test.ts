import { describe, expect, test } from "vitest";
import {
  parseAptOptions,
  parseIndexTargets,
  parseNpmConfiguration,
  parsePipConfiguration,
} from "./machine-sources.ts";

const MIRROR = "http://mirror.test/debian/";

describe("apt", () => {
  test("takes the archive, its updates and the security archive of Debian", () => {
    const text = [
      `Packages|Debian|bookworm|main|${MIRROR}`,
      `Packages|Debian|bookworm-updates|main|${MIRROR}`,
      "Packages|Debian|bookworm-security|main|https://user:secret@mirror.test/security/",
      `Translations|Debian|bookworm|main|${MIRROR}`,
    ].join("\n");
    expect(parseIndexTargets(text)).toEqual({
      archiveUri: MIRROR,
      securityUri: "https://mirror.test/security/",
      hasUpdatesSuite: true,
    });
  });

  test("takes suites by name before any list was fetched, and no third party's", () => {
    const text = [
      "Packages||nodistro|main|https://tools.test/node/",
      "Packages|Tools|trixie|main|https://tools.test/other/",
      `Packages||trixie|main|${MIRROR}`,
    ].join("\n");
    expect(parseIndexTargets(text)).toEqual({
      archiveUri: MIRROR,
      securityUri: undefined,
      hasUpdatesSuite: false,
    });
  });

  test("keeps what says how to reach servers apart from what an image may hold", () => {
    const dates = ['Acquire::Check-Date "false";', 'Acquire::Retries "3";'];
    const ways = [
      'Acquire::http::Proxy "http://user:secret@proxy.test:3128";',
      'Acquire::https::Verify-Peer "true";',
    ];
    const other = ['APT::Sandbox::User "root";', 'Acquire::http "";'];
    const dump = [...ways, ...other, ...dates].join("\n");
    expect(parseAptOptions(dump)).toEqual({ options: dates, fetchOptions: ways });
    expect(parseAptOptions(dates.join("\n"))).toEqual({ options: dates });
  });

  test("refuses a machine without a Debian mirror it can hand on", () => {
    expect(() => parseIndexTargets("Packages|Debian|trixie|main|file:/srv/debian")).toThrow(
      "no http(s) source",
    );
  });
});

test("npm: keeps scopes and the certificate file, drops passwords", () => {
  const configuration = {
    registry: "https://user:secret@npm.test/",
    "@own:registry": "https://own.test/npm",
    cafile: "/etc/ca.pem",
    proxy: null,
  };
  expect(parseNpmConfiguration(JSON.stringify(configuration))).toEqual({
    registry: "https://npm.test/",
    scopes: { "@own:registry": "https://own.test/npm" },
    cafile: "/etc/ca.pem",
  });
});

test("pip: the environment wins and local folders stay local", () => {
  const text = [
    "global.index-url='https://pip.test/simple'",
    "global.cert='/etc/a.b-c=d.crt'",
    "global.extra-index-url='file:///opt/simple https://more.test/simple'",
    ":env:.index-url='https://env.test/simple'",
  ].join("\n");
  expect(parsePipConfiguration(text)).toEqual({
    indexUrl: "https://env.test/simple",
    extraIndexUrls: ["https://more.test/simple"],
  });
  expect(parsePipConfiguration("")).toEqual({ indexUrl: undefined, extraIndexUrls: [] });
});
