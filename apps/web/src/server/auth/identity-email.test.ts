import { expect, it } from "vitest";
import { identityEmail } from "./identity-email.ts";

const email = "ada@people.example";

it("is the provider's, unless it says that nobody has shown it to be theirs", () => {
  for (const verified of [{}, { email_verified: true }, { email_verified: "true" }]) {
    expect(identityEmail({ email, ...verified })).toBe(email);
  }
  for (const email_verified of [false, "false"]) {
    expect(() => identityEmail({ email, email_verified })).toThrow(
      expect.objectContaining({ code: "auth.email_unverified" }),
    );
  }
});

it.each([undefined, {}, { email: "" }, { email: 5 }, { email: null, email_verified: true }])(
  "is needed: %j",
  (profile) => {
    expect(() => identityEmail(profile)).toThrow(expect.objectContaining({ code: "auth.forbidden" }));
  },
);
