import type { InvalidReason } from "./verify-receipt.ts";

/** For people. */
export const INVALID_REASONS: Readonly<Record<InvalidReason, string>> = {
  unreadable: "The file is not JSON, or it was cut off.",
  version: "The receipt is of a version that this program does not know.",
  form: "The file does not have the form of an erasure receipt, or its figures do not agree with each other.",
  changed: "The file is not written as it was issued: something was added, removed or rearranged.",
  signature: "The facts in it are not those that were signed.",
  issuer: "It was not signed with the key it should be signed with.",
};
