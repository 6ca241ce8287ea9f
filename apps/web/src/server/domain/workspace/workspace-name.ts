import { z } from "zod";

/** Shown to its owner only; anything printable. */
export const workspaceName = z
  .string()
  .trim()
  .min(1)
  .max(60)
  .regex(/^[^\p{Cc}]*$/u);
