import { describe, expect, it } from "vitest";
import { AtollError, toAtollError } from "./atoll-error.ts";
import { ERRORS } from "./errors.ts";
import { LINK_TOKEN_BYTES } from "./limits.ts";
import { FIRST_LINK_TOKEN } from "./link-handshake.ts";

describe("error table", () => {
  it.each(Object.entries(ERRORS))("%s has a status and words of a person", (code, spec) => {
    expect(code).toMatch(/^[a-z]+(\.[a-z_]+)?$/);
    expect(spec.http).toBeGreaterThanOrEqual(400);
    for (const words of [spec.what, spec.why, spec.now]) expect(words).toMatch(/^[A-Z].{5,118}\.$/);
  });

  it("lets only code and details cross a process", () => {
    const error = new AtollError("file.conflict", "inner words", {
      details: { limit: 3 },
      cause: new Error("secret"),
    });
    const wire = JSON.parse(JSON.stringify(error.toWire()));
    expect(wire).toEqual({ code: "file.conflict", details: { limit: 3 } });
    expect(AtollError.fromWire(wire)).toMatchObject({ code: "file.conflict", details: { limit: 3 } });
  });

  it("reads unknown codes and garbage as internal", () => {
    expect(AtollError.fromWire({ code: "future.code" }).code).toBe("internal");
    expect(AtollError.fromWire(["x"]).code).toBe("internal");
    expect(AtollError.fromWire({ code: "toString" }).code).toBe("internal");
    expect(toAtollError(new TypeError("x")).code).toBe("internal");
  });
});

it("has a first link token of the right size", () => {
  expect(FIRST_LINK_TOKEN.length).toBe(2 * LINK_TOKEN_BYTES);
});
