import { AtollError } from "@atoll/protocol/atoll-error";

export function hasCode(error: unknown, ...codes: readonly AtollError["code"][]): boolean {
  return error instanceof AtollError && codes.includes(error.code);
}
