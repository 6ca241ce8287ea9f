import { z } from "zod";

/** Of a disposable workspace: erased this many seconds from now, whatever its state. */
export const expiresInSeconds = z.number().int().min(60).max(31_536_000).optional();

export function expiryOf(seconds: number | undefined): { expiresAt?: Date } {
  return seconds === undefined ? {} : { expiresAt: new Date(Date.now() + seconds * 1000) };
}
