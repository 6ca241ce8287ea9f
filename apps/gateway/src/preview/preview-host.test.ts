import { expect, test } from "vitest";
import { guestView, publicLocation } from "./guest-view.ts";
import { parsePreviewHost, previewHostOfUrl } from "./preview-host.ts";

const site = { domain: "previews.example", port: 7702, scheme: "https" } as const;

test("reads hosts of the configured domain, with or without the listener's port", () => {
  const host = { port: 3000, slug: "blue-reef" };
  const authority = "3000-blue-reef.previews.example";
  expect(parsePreviewHost(authority, site)).toEqual({ ...host, authority });
  expect(parsePreviewHost(`${authority}:7702`, site)).toEqual({ ...host, authority: `${authority}:7702` });
  for (const bad of [
    `${authority}:7703`,
    `${authority}:`,
    "3000-blue-reef.preview.localhost",
    "",
    undefined,
  ]) {
    expect(parsePreviewHost(bad, site)).toBeUndefined();
  }
  expect(previewHostOfUrl(`https://${authority}/path`, site)).toMatchObject(host);
  expect(previewHostOfUrl("null", site)).toBeUndefined();
});

test("a page behind TLS keeps its scheme in origins and redirects", () => {
  const host = { port: 3000, slug: "blue-reef", authority: "3000-blue-reef.previews.example" };
  const view = guestView({
    host,
    scheme: "https",
    publicOrigin: `https://${host.authority}`,
    peer: undefined,
  });
  expect(view.guestOrigin).toBe("https://localhost:3000");
  expect(publicLocation("http://localhost:3000/a", view)).toBe(`https://${host.authority}/a`);
  expect(guestView({ ...view, publicOrigin: "null", peer: undefined }).guestOrigin).toBe("null");
});
