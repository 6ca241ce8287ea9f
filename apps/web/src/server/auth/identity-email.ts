import { AtollError } from "@atoll/protocol/atoll-error";

/**
 * The address an account made of this identity has. Providers that say nothing about it vouch for it.
 * @throws AtollError auth.forbidden without an address, auth.email_unverified for one that anybody could have entered there
 */
export function identityEmail(profile: { email?: unknown; email_verified?: unknown } | undefined): string {
  const { email, email_verified: isVerified } = profile ?? {};
  // Without an address there would be nothing to tell accounts apart by, nor to type when deleting one.
  if (typeof email !== "string" || email === "") throw new AtollError("auth.forbidden", "no e-mail claim");
  // The claim is a boolean; some providers send its name.
  if (isVerified === false || isVerified === "false") throw new AtollError("auth.email_unverified");
  return email;
}
