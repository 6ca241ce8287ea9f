import { AtollError } from "@atoll/protocol/atoll-error";
import { TRPCError } from "@trpc/server";
import { expect, it } from "vitest";
import { z } from "zod";
import { toWireFailure } from "./to-wire-error.ts";

const invalid = z.object({ name: z.string() }).safeParse({ name: 1 }).error;

it.each([
  [
    "our own error",
    new TRPCError({ code: "INTERNAL_SERVER_ERROR", cause: new AtollError("host.full") }),
    "host.full",
  ],
  ["a refused input", new TRPCError({ code: "BAD_REQUEST", cause: invalid }), "request.invalid"],
  ["an unknown procedure", new TRPCError({ code: "NOT_FOUND" }), "request.unknown"],
  ["broken JSON", new TRPCError({ code: "PARSE_ERROR" }), "request.invalid"],
  ["anything else", new TRPCError({ code: "INTERNAL_SERVER_ERROR", message: "secret" }), "internal"],
] as const)("gives %s a code of the table", (_name, error, code) => {
  const failure = toWireFailure(error);
  expect(failure.code).toBe(code);
  expect(JSON.stringify(failure.toWire())).not.toContain("secret");
});

it("names the field that was wrong", () => {
  const error = new TRPCError({ code: "BAD_REQUEST", cause: invalid });
  expect(toWireFailure(error).details).toEqual({ field: "name" });
});
